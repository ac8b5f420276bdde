import type { Clock } from '../../../service/clock.ts';
import type { Log } from '../../../service/log.ts';
import { openLongTimer } from '../../../service/long-timer.ts';
import type { LrmsListener } from '../lrms.ts';
import { isKeeper, type ProcessInfo, type ProcessTable, sendSignal } from '../process-tree.ts';
import type { TaskGroups } from '../sandbox/cgroups.ts';
import { noteSuspension, readSuspensions } from '../task-files.ts';
import { type ForkTask, restOf } from './fork-task.ts';

export interface SuspenderOptions {
  readonly scan: ProcessTable;
  readonly groups: TaskGroups;
  readonly clock: Clock;
  readonly log: Log;
  readonly listener: LrmsListener;
  /** A task has run for its walltime. */
  readonly onWalltime: (entry: ForkTask) => void;
}

/**
 * Lets tasks stand still and go on: by their control group, or by signals to all of their processes. It keeps their
 * walltime, which does not count the time that they stand still.
 */
export interface Suspender {
  /** A task runs from now on. */
  begin(entry: ForkTask): void;
  /** The same for one of an earlier run, which began then by the wall clock and may stand still. */
  adopt(entry: ForkTask, startedAtMs: number): Promise<void>;
  /** Lets these and all that begin later stand still for this reason; '' lets them go on. */
  suspend(why: string, entries: Iterable<ForkTask>): void;
  /** Before a task is ended: one that stands still would not hear of it. */
  letGo(entry: ForkTask): void;
  /** Stops what a task that stands still has made in the moment in which it was stopped. */
  stopRest(entry: ForkTask, processes: readonly ProcessInfo[]): void;
}

/** What a task makes while its processes are being stopped one by one is found by the next look. */
const LOOKS = 3;

export const openSuspender = (options: SuspenderOptions): Suspender => new ForkSuspender(options);

class ForkSuspender implements Suspender {
  private readonly options: SuspenderOptions;
  /** '' while tasks run; undefined before anybody has said so: what an earlier run has suspended stands still. */
  private suspendedFor: string | undefined;

  constructor(options: SuspenderOptions) {
    this.options = options;
  }

  begin(entry: ForkTask): void {
    entry.ranFromMs = this.options.clock.monotonicMs();
    entry.isToldHow = true;
    this.arm(entry);
    this.apply(entry);
  }

  async adopt(entry: ForkTask, startedAtMs: number): Promise<void> {
    const { clock } = this.options;
    const { overMs, sinceMs } = await readSuspensions(entry.task.directory);
    const [nowMs, atMs] = [clock.nowMs(), clock.monotonicMs()];
    entry.suspendedMs = overMs;
    entry.ranFromMs = atMs - (nowMs - startedAtMs - overMs);
    if (sinceMs !== undefined) entry.suspendedAtMs = atMs - Math.max(0, nowMs - sinceMs);
    this.arm(entry);
    this.apply(entry);
  }

  suspend(why: string, entries: Iterable<ForkTask>): void {
    if (this.suspendedFor === why) return;
    this.suspendedFor = why;
    for (const entry of entries) this.apply(entry);
  }

  letGo(entry: ForkTask): void {
    if (entry.suspendedAtMs !== undefined) this.resume(entry);
  }

  stopRest(entry: ForkTask, processes: readonly ProcessInfo[]): void {
    if (entry.suspendedAtMs === undefined || entry.killing) return;
    if (!this.options.groups.freeze(entry.task.id, true)) this.stop(entry, processes);
  }

  /** One that is being ended goes on. */
  private apply(entry: ForkTask): void {
    const why = this.suspendedFor;
    const isSuspended = entry.suspendedAtMs !== undefined;
    if (why === undefined || entry.state !== 'running' || entry.killing) return;
    const changes = isSuspended !== (why !== '');
    if (changes && isSuspended) this.resume(entry);
    else if (changes) this.halt(entry);
    if (changes) this.arm(entry);
    if (!changes && entry.isToldHow) return;
    entry.isToldHow = true;
    const { clock, listener } = this.options;
    listener.suspended?.(entry.task.id, clock.nowMs(), why);
  }

  private arm(entry: ForkTask): void {
    const { walltimeMs } = entry.task;
    entry.wallTimer?.[Symbol.dispose]();
    entry.wallTimer = undefined;
    if (walltimeMs <= 0 || entry.suspendedAtMs !== undefined) return;
    const leftMs = walltimeMs - (this.options.clock.monotonicMs() - entry.ranFromMs);
    entry.wallTimer = openLongTimer(leftMs, () => this.options.onWalltime(entry));
  }

  private halt(entry: ForkTask): void {
    const { clock, groups, scan } = this.options;
    entry.suspendedAtMs = clock.monotonicMs();
    this.note(entry, true);
    if (groups.freeze(entry.task.id, true)) return;
    for (let looks = 0; looks < LOOKS; looks += 1) this.stop(entry, scan());
  }

  private stop(entry: ForkTask, processes: readonly ProcessInfo[]): void {
    const rest = restOf(entry, this.options.groups, processes).filter((one) => !isKeeper(one));
    sendSignal(rest, 'SIGSTOP');
  }

  private resume(entry: ForkTask): void {
    const { clock, groups, scan } = this.options;
    const nowMs = clock.monotonicMs();
    const stoodMs = nowMs - (entry.suspendedAtMs ?? nowMs);
    entry.suspendedAtMs = undefined;
    entry.suspendedMs += stoodMs;
    entry.ranFromMs += stoodMs;
    groups.freeze(entry.task.id, false);
    sendSignal(restOf(entry, groups, scan()), 'SIGCONT');
    this.note(entry, false);
  }

  private note(entry: ForkTask, isSuspended: boolean): void {
    const { clock, log } = this.options;
    try {
      noteSuspension(entry.task.directory, isSuspended, clock.nowMs());
    } catch (error) {
      // A gateway that comes after this one counts the time as walltime.
      log.warn({ err: error, id: entry.task.id }, 'a suspension could not be written down');
    }
  }
}
