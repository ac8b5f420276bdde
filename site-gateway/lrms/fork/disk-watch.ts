import { pause } from '../../../service/background.ts';
import { bytesBelow } from '../../bytes-below.ts';
import type { LrmsTask } from '../lrms.ts';
import type { LimitFile } from '../task-files.ts';

/** A task whose directory is looked at. */
interface Watched {
  readonly task: Pick<LrmsTask, 'directory' | 'diskBytes'>;
}

const ROUND_MS = 1_000;
/** To look at directories takes a tenth of the time at most. */
const REST = 9;

/** Looks at the directories of tasks, one after another and again and again, until `signal` aborts. */
export async function watchDisk<Entry extends Watched>(
  tasks: () => Iterable<Entry>,
  onExcess: (entry: Entry, limit: LimitFile) => void,
  signal: AbortSignal,
): Promise<void> {
  let tookMs = 0;
  while (!signal.aborted) {
    await pause(Math.max(ROUND_MS, REST * tookMs), signal);
    const begunAtMs = performance.now();
    for (const entry of tasks()) {
      const limit = await excessOf(entry, signal);
      if (limit !== undefined && !signal.aborted) onExcess(entry, limit);
    }
    tookMs = performance.now() - begunAtMs;
  }
}

/**
 * By how much a task is over its disk; undefined while it is not. What counts is what its files take on the disk, and not
 * more than their lengths: a file system may set blocks aside for a file that grows.
 */
async function excessOf({ task }: Watched, signal: AbortSignal): Promise<LimitFile | undefined> {
  const { directory, diskBytes: allowed = 0 } = task;
  if (allowed === 0 || signal.aborted) return undefined;
  const blocks = await bytesBelow(directory, { signal });
  if (blocks <= allowed) return undefined;
  const measured = Math.min(blocks, await bytesBelow(directory, { isApparent: true, signal }));
  return measured > allowed ? { limit: 'disk', measured, allowed } : undefined;
}
