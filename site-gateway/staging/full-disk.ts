import type { Outcome } from '../../core/job/outcome.ts';
import type { Log } from '../../service/log.ts';
import type { Attempt } from '../attempts/attempt.ts';
import { tryRemoveTree } from '../attempts/attempt-directory.ts';
import { failed, type Verdict } from '../attempts/outcome.ts';
import type { TaskEnd } from '../lrms/lrms.ts';
import type { Disk } from './disk.ts';

interface Parts {
  readonly disk: Disk;
  readonly log: Log;
}

/** Whatever fails while there is no room at all fails because of that, and is not the job's fault. */
export async function diskFull(
  parts: Parts,
  { directory, ending }: Attempt,
  end: TaskEnd,
  { failure, detail }: Verdict,
): Promise<Outcome | undefined> {
  const mayBe = ending === '' && failure !== undefined && failure !== 'limit';
  const never = end.kind === 'not-started' && end.fault === 'job';
  if (!mayBe || never || !(await parts.disk.isFull())) return undefined;
  await giveBack(parts, directory);
  return failed('site', 'DISK_FULL', `the disk of the site was full when it ended: ${detail}`);
}

/** What came for a task that cannot run now goes at once; what a task has made stays while there is any room. */
export async function giveBackIfFull(
  parts: Parts,
  { directory, vacated }: Attempt,
  { reason }: Outcome,
): Promise<void> {
  if (reason !== 'DISK_FULL' && reason !== 'SPOOL_UNWRITABLE') return;
  const isUnused = reason === 'DISK_FULL' && !vacated;
  if (isUnused || (await parts.disk.isFull().catch(() => false))) await giveBack(parts, directory);
}

/** Without room the journal could not even say that there is none. */
async function giveBack({ disk, log }: Parts, directory: string): Promise<void> {
  await tryRemoveTree(directory, log);
  await disk.probe();
}
