import { existsSync, writeFileSync } from 'node:fs';
import { uptime } from 'node:os';
import { bootIdNow } from '../../attempts/boot-id.ts';
import type { ListedTask, LrmsTask, TaskEnd, TaskUsage } from '../lrms.ts';
import { heldBytes, isInside, latestProcess, type ProcessInfo, treeOf } from '../process-tree.ts';
import type { GroupFigures, TaskGroups } from '../sandbox/cgroups.ts';
import {
  hostfileOf,
  isUnconfined,
  type LimitFile,
  type ProcessKey,
  readLimit,
  readStarted,
  type StatusFile,
  type TaskStart,
} from '../task-files.ts';
import type { GpuPool } from './gpu-pool.ts';
import type { Share, Slots } from './slots.ts';

/**
 * A task here: `queued` until there is room, `launched` once a shell has the order, `running` once the wrapper said so
 * (or its files did), `ending` once its wrapper has come to its end and what it left is being ended. Then it is dropped.
 */
export interface ForkTask {
  readonly task: LrmsTask;
  state: 'queued' | 'launched' | 'running' | 'ending';
  share: Share | undefined;
  wrapper: ProcessKey | undefined;
  /** Undefined where it never began. */
  start: TaskStart | undefined;
  /** Its processes are younger than this one, the wrapper excepted; undefined where nobody knows. */
  youngerThan: ProcessKey | undefined;
  launchedAtMs: number;
  /** Monotonic; when it would have begun if it had never stood still. */
  ranFromMs: number;
  /** Monotonic; when it began to stand still, undefined while it runs. */
  suspendedAtMs: number | undefined;
  /** How long it has stood still, the present time left out. */
  suspendedMs: number;
  /** Whether it was told that it stands still or runs: what an earlier run of the gateway did may not have been. */
  isToldHow: boolean;
  launches: number;
  peakMemoryBytes: number;
  /** What the processes of a container were seen to have used: they are not the wrapper's to count. */
  boxedCpuMs: number;
  wallTimer: Disposable | undefined;
  /** Set while its processes are being ended. */
  killing: boolean;
  /** There may be a file that says which limit it reached. */
  hasLimit: boolean;
}

export const newForkTask = (task: LrmsTask, state: ForkTask['state']): ForkTask => ({
  task,
  state,
  share: undefined,
  wrapper: undefined,
  start: undefined,
  youngerThan: undefined,
  launchedAtMs: 0,
  ranFromMs: 0,
  suspendedAtMs: undefined,
  suspendedMs: 0,
  isToldHow: false,
  launches: 0,
  peakMemoryBytes: 0,
  boxedCpuMs: 0,
  wallTimer: undefined,
  killing: false,
  // One of an earlier run may have been ended by that.
  hasLimit: state === 'running',
});

/** It was ordered by then and has not come to its end. */
export const isBusySince = ({ state, launchedAtMs }: ForkTask, atMs: number): boolean =>
  (state === 'running' || state === 'launched') && launchedAtMs <= atMs;

/** Exit codes of a sandbox that could not be set up, and of some programs. */
const SETUP_CODES = [1, 125];

/**
 * The first in turn. While tasks wait for GPUs others go before them, but none that would take GPUs away. When these are
 * free, it is their turn again.
 */
function nextOf(queue: readonly ForkTask[], gpus: GpuPool): ForkTask | undefined {
  if (gpus.models.length === 0) return queue[0];
  const waits = queue.findIndex(({ task }) => !gpus.fits(task));
  return waits < 0 ? queue[0] : queue.find(({ task }, at) => at < waits || task.gpus === 0);
}

/** Takes the next task out of the queue, with its share of the machine; undefined where it has to wait for that. */
export function takeNext(queue: ForkTask[], slots: Slots, gpus: GpuPool): ForkTask | undefined {
  const next = nextOf(queue, gpus);
  if (next === undefined) return undefined;
  next.share = slots.take(next.task);
  if (next.share === undefined) return undefined;
  gpus.take(next.task);
  queue.splice(queue.indexOf(next), 1);
  return next;
}

/** Why a task that waits does so, as far as this machine knows. */
export function waitReasonOf(entry: ForkTask | undefined, gpus: Pick<GpuPool, 'fits'>): string {
  const what = entry?.state === 'queued' && !gpus.fits(entry.task) ? 'GPUs' : 'CPUs';
  return `waits for free ${what} at the site`;
}

/** It never ran, and this machine is to blame. */
export const siteFault = (reason: string, detail: string): TaskEnd => ({
  kind: 'not-started',
  fault: 'site',
  reason,
  detail,
});

/** It asks for what this machine has not. */
export const gpuFault = (detail: string): TaskEnd | undefined =>
  detail === '' ? undefined : siteFault('SITE_REFUSED', detail);

/** The machine itself is the only node. */
export const hostsOf = ({ cpus }: Pick<LrmsTask, 'cpus'>): string => 'localhost\n'.repeat(cpus);

export function writeHosts(task: LrmsTask): void {
  const file = hostfileOf(task.directory);
  if (existsSync(file)) return;
  try {
    // Never through a link that stands there.
    writeFileSync(file, hostsOf(task), { flag: 'wx' });
  } catch {
    // The wrapper finds out what is wrong with the directory, and says so.
  }
}

/** It is about to be ordered, perhaps once more. */
export function setLaunched(entry: ForkTask, nowMs: number): void {
  entry.state = 'launched';
  entry.launches += 1;
  entry.launchedAtMs = nowMs;
  entry.youngerThan ??= latestProcess();
}

/** It has begun; undefined where its wrapper was cut off. */
export function setStart(entry: ForkTask, start: TaskStart | undefined): void {
  entry.start = start;
  entry.wrapper = start?.wrapper;
}

/** Its processes, the wrapper first where it lives. */
export const processesOf = (
  { task, wrapper }: ForkTask,
  groups: TaskGroups,
  processes: readonly ProcessInfo[],
): readonly ProcessInfo[] =>
  treeOf({ directory: task.directory, wrapper, members: groups.members(task.id) }, processes);

/** Its processes without the wrapper. */
export const restOf = (
  entry: ForkTask,
  groups: TaskGroups,
  processes: readonly ProcessInfo[],
): readonly ProcessInfo[] =>
  processesOf(entry, groups, processes).filter(({ pid }) => pid !== entry.wrapper?.pid);

/** It has run for as long as it may. */
export function walltimeLimit({ task: { walltimeMs: allowed } }: ForkTask): LimitFile {
  return { limit: 'walltime', measured: allowed, allowed };
}

/** By how much it is over its memory; undefined while it is not. The kernel sees more than a look at its processes. */
export function memoryExcess(
  entry: ForkTask,
  tree: readonly ProcessInfo[],
  figures: GroupFigures | undefined,
): LimitFile | undefined {
  const allowed = entry.task.memoryBytes;
  const isBoxed = entry.task.boxed !== undefined;
  const own = isBoxed ? tree.filter(isInside) : tree;
  const usedMs = isBoxed ? own.reduce((sum, { cpuMs }) => sum + cpuMs, 0) : 0;
  entry.boxedCpuMs = Math.max(entry.boxedCpuMs, usedMs);
  // What lies in a file system in memory is seen by no process; programs and libraries are not what the group holds.
  const used = Math.max(figures?.heldBytes ?? 0, usedBytes(own, allowed));
  entry.peakMemoryBytes = Math.max(entry.peakMemoryBytes, used);
  const isOver = figures?.isOverMemory ?? used > allowed;
  const measured = figures?.peakMemoryBytes ?? used;
  return isOver ? { limit: 'memory', measured, allowed } : undefined;
}

/** What each of them sees, summed up, is cheap to tell and too much; it does unless it is over what is allowed. */
function usedBytes(own: readonly ProcessInfo[], allowed: number): number {
  const seen = own.reduce((sum, { rssBytes }) => sum + rssBytes, 0);
  return seen > allowed ? heldBytes(own) : seen;
}

/** Its wrapper has written how it ended. */
export async function endWithStatus(entry: ForkTask, status: StatusFile): Promise<TaskEnd> {
  if (SETUP_CODES.includes(status.exitCode) && (await isUnconfined(entry.task.directory))) {
    return siteFault('SANDBOX_FAILED', 'it could not be put into its sandbox');
  }
  const usage = usageOf(entry, status);
  const common = { exitCode: status.exitCode, usage, leftBehind: [] };
  const limit = entry.hasLimit ? await readLimit(entry.task.directory) : undefined;
  if (limit === undefined && status.exitCode !== 0 && (await wasShutDown(entry))) {
    const detail = 'the machine was shut down while it ran';
    return { kind: 'vanished', reason: 'TASK_VANISHED', detail, usage };
  }
  return limit === undefined
    ? { kind: 'exited', ...common }
    : { kind: 'limit', ...limit, ...common };
}

/**
 * A machine that goes down stops the gateway first, then ends the tasks with a signal: whatever they make of that is no
 * doing of theirs. A gateway that was there has long told of any other end.
 */
async function wasShutDown({ task }: ForkTask): Promise<boolean> {
  const bootId = (await readStarted(task.directory))?.bootId ?? '';
  return bootId !== '' && bootId !== bootIdNow();
}

/** Its wrapper was killed, by us in the end or by somebody else. */
export async function endWithoutStatus(entry: ForkTask): Promise<TaskEnd> {
  const limit = entry.hasLimit ? await readLimit(entry.task.directory) : undefined;
  const usage = usageOf(entry, { cpuMs: 0, endedUptimeMs: uptime() * 1_000 });
  if (limit !== undefined) return { kind: 'limit', ...limit, exitCode: 137, usage, leftBehind: [] };
  const detail =
    'its processes are gone and left no exit status: killed from outside, or the machine went down';
  return { kind: 'vanished', reason: 'TASK_VANISHED', detail, usage };
}

function usageOf(entry: ForkTask, status: Pick<StatusFile, 'cpuMs' | 'endedUptimeMs'>): TaskUsage {
  const { uptimeMs = status.endedUptimeMs, earlierCpuMs = 0 } = entry.start ?? {};
  const cpuMs = Math.max(status.cpuMs - earlierCpuMs, 0);
  // Where it stands still at its end the killer has let it go on before.
  const wallMs = Math.max(Math.round(status.endedUptimeMs - uptimeMs - entry.suspendedMs), 0);
  return {
    cpuMs: Math.max(cpuMs, entry.boxedCpuMs),
    wallMs,
    peakMemoryBytes: entry.peakMemoryBytes,
  };
}

/** The end with what it left, and what the kernel counted, which is more than a wrapper knows. */
export function withFigures(
  end: TaskEnd,
  figures: GroupFigures | undefined,
  allowed: number,
  leftBehind: readonly string[],
): TaskEnd {
  if (end.kind === 'not-started') return end;
  const { cpuMs, isOverMemory, ...counted } = figures ?? { ...end.usage, isOverMemory: false };
  const peakMemoryBytes = Math.max(counted.peakMemoryBytes, end.usage.peakMemoryBytes);
  const usage = { ...end.usage, cpuMs, peakMemoryBytes };
  if (end.kind === 'vanished') return { ...end, usage };
  const whole = { ...end, usage, leftBehind };
  if (whole.kind === 'limit' || !isOverMemory) return whole;
  return { ...whole, kind: 'limit', limit: 'memory', measured: peakMemoryBytes, allowed };
}

/** Tasks as the processes of this machine. */
export const listForkTasks = (tasks: Iterable<ForkTask>): readonly ListedTask[] =>
  [...tasks].map(({ task, state, wrapper }) => ({
    id: task.id,
    batchId: wrapper === undefined ? '' : `process ${wrapper.pid}`,
    state: state === 'queued' ? 'waits' : 'runs',
    reason: '',
  }));
