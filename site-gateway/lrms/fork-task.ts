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
  wallTimer: NodeJS.Timeout | undefined;
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
  return { kind: 'vanished', detail };
}

function usageOf(entry: ForkTask, status: StatusFile): TaskUsage {
  const startedMs = (entry.wrapper?.startTicks ?? 0) * 10;
  const wallMs = startedMs > 0 ? Math.max(status.endedUptimeMs - startedMs, 0) : 0;
  return { cpuMs: status.cpuMs, wallMs, peakMemoryBytes: entry.peakMemoryBytes };
}

/** Linux: one argument or variable may have 128 KiB; all together a quarter of the stack limit, 2 MiB by default. */
const MAX_WORD_BYTES = 131_071;
const MAX_WORDS_BYTES = 1_500_000;

/** What the kernel or the shell would not take. */
export function faultOf(task: LrmsTask): TaskEnd | undefined {
  const env = Object.entries(task.env).map(([name, value]) => `${name}=${value}`);
  const sizes = [...task.command, ...env].map((word) => Buffer.byteLength(word) + 9);
  const largest = Math.max(...sizes);
  const sum = sizes.reduce((total, size) => total + size, 0);
  if (largest <= MAX_WORD_BYTES && sum <= MAX_WORDS_BYTES) return undefined;
  const detail = `command and environment have ${sum} bytes, the largest word ${largest}: more than Linux takes`;
  return { kind: 'not-started', fault: 'job', reason: 'COMMAND_TOO_LONG', detail };
}
