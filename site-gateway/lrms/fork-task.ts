import type { LrmsTask, TaskEnd, TaskUsage } from './lrms.ts';
import type { Share } from './slots.ts';
import { type ProcessKey, readLimit, type StatusFile } from './task-files.ts';

/**
 * A task here: `queued` until there is room, `launched` once a shell has the order, `running` once the wrapper said so
 * (or its files did), `ending` once its wrapper has come to its end and what it left is being ended. Then it is dropped.
 */
export interface ForkTask {
  readonly task: LrmsTask;
  state: 'queued' | 'launched' | 'running' | 'ending';
  share: Share | undefined;
  wrapper: ProcessKey | undefined;
  launchedAtMs: number;
  launches: number;
  peakMemoryBytes: number;
  wallTimer: Disposable | undefined;
  /** Set while its processes are being ended. */
  killing: boolean;
}

/** Its wrapper has written how it ended. */
export async function endWithStatus(entry: ForkTask, status: StatusFile): Promise<TaskEnd> {
  const common = { exitCode: status.exitCode, usage: usageOf(entry, status), leftBehind: [] };
  const limit = await readLimit(entry.task.directory);
  return limit === undefined
    ? { kind: 'exited', ...common }
    : { kind: 'limit', ...limit, ...common };
}

/** Its wrapper was killed, by us in the end or by somebody else. */
export async function endWithoutStatus(entry: ForkTask): Promise<TaskEnd> {
  const limit = await readLimit(entry.task.directory);
  const usage = { cpuMs: 0, wallMs: 0, peakMemoryBytes: entry.peakMemoryBytes };
  if (limit !== undefined) return { kind: 'limit', ...limit, exitCode: 137, usage, leftBehind: [] };
  const detail =
    'its processes are gone and left no exit status: killed from outside, or the machine went down';
  return { kind: 'vanished', reason: 'TASK_VANISHED', detail };
}

function usageOf(entry: ForkTask, status: StatusFile): TaskUsage {
  const startedMs = (entry.wrapper?.startTicks ?? 0) * 10;
  const wallMs = startedMs > 0 ? Math.max(status.endedUptimeMs - startedMs, 0) : 0;
  return { cpuMs: status.cpuMs, wallMs, peakMemoryBytes: entry.peakMemoryBytes };
}
