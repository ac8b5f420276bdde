import type { Log } from '../../../service/log.ts';
import type { Element } from './batch-system.ts';
import type { Submissions } from './submissions.ts';

/**
 * Sees to it that an element never begins; false where it has, or still may because the spool does not take the word. Then the
 * batch system has to end it, and whoever asked asks again.
 */
export async function neverBegins(
  element: Element,
  submissions: Pick<Submissions, 'revoke'>,
  log: Log,
): Promise<boolean> {
  try {
    return await submissions.revoke(element);
  } catch (error) {
    log.warn({ err: error, ...element }, 'a task cannot be kept from beginning yet');
    return false;
  }
}
