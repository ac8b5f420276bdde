import { pause } from '../../../service/background.ts';
import { runTool } from '../../../service/run-tool.ts';
import type { LrmsTask } from '../lrms.ts';
import type { LimitFile } from '../task-files.ts';

/** A task whose directory is looked at. */
interface Watched {
  readonly task: Pick<LrmsTask, 'directory' | 'diskBytes'>;
}

const ROUND_MS = 1_000;
/** To look at directories takes a tenth of the time at most. */
const REST = 9;
/** A directory that is not looked through by then is taken for one that cannot be. */
const PATIENCE_MS = 600_000;

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
  const blocks = await sizeOf(directory, [], signal);
  if (blocks <= allowed) return undefined;
  const measured = Math.min(blocks, await sizeOf(directory, ['--apparent-size'], signal));
  return measured > allowed ? { limit: 'disk', measured, allowed } : undefined;
}

/** In bytes; 0 where it cannot be told. What vanishes under the look, and what is closed to us, does not matter. */
async function sizeOf(directory: string, how: string[], signal: AbortSignal): Promise<number> {
  const args = ['-skx', ...how, '--', directory];
  const { output } = await runTool('du', args, { timeoutMs: PATIENCE_MS, signal });
  const kib = /^\d+(?=\t)/m.exec(output)?.[0];
  return kib === undefined ? 0 : Number(kib) * 1_024;
}
