import type { AttemptId } from '../../core/ids.ts';
import type { Log } from '../../service/log.ts';
import type { SiteConfig } from '../config.ts';
import type { Journal } from '../journal/journal.ts';
import { attemptDirectory, tryRemoveTree } from './attempt-directory.ts';

const CLEANED_AT_A_TIME = 200;
/** An attempt stays in the journal this long after its directory has gone, so that placing it again does nothing. */
const REMEMBER_MS = 3_600_000;

/** Removes the directories of attempts whose end was acknowledged long enough ago. */
export async function cleanSpool(
  journal: Journal,
  config: SiteConfig,
  log: Log,
  nowMs: number,
): Promise<void> {
  const beforeMs = nowMs - config['keep-attempts'];
  let found: number;
  let gone: AttemptId[];
  // However many have ended since: those that resist come up again, and one of them does not keep the others.
  do {
    const ids = journal.removable(beforeMs, CLEANED_AT_A_TIME);
    found = ids.length;
    gone = [];
    for (const id of ids)
      if (await tryRemoveTree(attemptDirectory(config.spool, id), log)) gone.push(id);
    if (gone.length > 0) await journal.removed(gone);
  } while (found === CLEANED_AT_A_TIME && gone.length > 0);
  await journal.forget(beforeMs - REMEMBER_MS);
}
