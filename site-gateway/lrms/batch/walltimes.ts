import { background } from '../../../service/background.ts';
import type { Clock } from '../../../service/clock.ts';
import type { Log } from '../../../service/log.ts';
import { openLongTimer } from '../../../service/long-timer.ts';
import type { LrmsListener } from '../lrms.ts';
import { noteSuspension, readSuspensions, writeLimit } from '../task-files.ts';
import { type BatchPoll, keyOf } from './batch-system.ts';
import type { BatchTask } from './batch-task.ts';

interface WalltimeOptions {
  /** Name of the batch system. */
  readonly name: string;
  readonly clock: Clock;
  readonly log: Log;
  readonly listener: LrmsListener;
  /** A task has run for its walltime. */
  readonly onOver: (entry: BatchTask) => void;
}

/** Keeps the walltime of tasks. The time that they stand still, as far as looks have shown it, does not count. */
export interface Walltimes {
  /** A task has begun, or is taken up. */
  begin(entry: BatchTask): Promise<void>;
  /** A look has shown these jobs. */
  see(entries: Iterable<BatchTask>, jobs: BatchPoll['jobs']): void;
}

export function openWalltimes({ name, clock, log, listener, onOver }: WalltimeOptions): Walltimes {
  const arm = (entry: BatchTask): void => {
    const { walltimeMs } = entry.task;
    entry.wallTimer?.[Symbol.dispose]();
    entry.wallTimer = undefined;
    if (walltimeMs <= 0 || entry.suspendedAtMs !== undefined || entry.state !== 'runs') return;
    const leftMs = entry.startedAtMs + entry.suspendedMs + walltimeMs - clock.nowMs();
    entry.wallTimer = openLongTimer(leftMs, () =>
      background('end a task at its limit', exceed(entry), log),
    );
  };
  const note = (entry: BatchTask, nowMs: number): void => {
    try {
      noteSuspension(entry.task.directory, entry.suspendedAtMs !== undefined, nowMs);
    } catch (error) {
      // A gateway that comes after this one counts the time as walltime.
      log.warn({ err: error, id: entry.task.id }, 'a suspension could not be written down');
    }
  };
  const exceed = (entry: BatchTask): Promise<void> => {
    const { directory, walltimeMs: allowed } = entry.task;
    const limit = { limit: 'walltime', measured: allowed, allowed } as const;
    // A full disk may cost the reason, never the end.
    return writeLimit(directory, limit).finally(() => onOver(entry));
  };
  const change = (entry: BatchTask, nowMs: number): void => {
    if (entry.suspendedAtMs === undefined) entry.suspendedAtMs = nowMs;
    else {
      entry.suspendedMs += Math.max(0, nowMs - entry.suspendedAtMs);
      entry.suspendedAtMs = undefined;
    }
    note(entry, nowMs);
    arm(entry);
  };
  const show = (entry: BatchTask, isSuspended: boolean): void => {
    const nowMs = clock.nowMs();
    const changes = isSuspended !== (entry.suspendedAtMs !== undefined);
    if (changes) change(entry, nowMs);
    if (!changes && entry.isToldHow) return;
    entry.isToldHow = true;
    listener.suspended?.(entry.task.id, nowMs, isSuspended ? `${name} has suspended it` : '');
  };
  return {
    begin: async (entry) => {
      if (entry.takenUp) {
        const { overMs, sinceMs } = await readSuspensions(entry.task.directory);
        entry.suspendedMs = overMs;
        entry.suspendedAtMs = sinceMs;
      }
      entry.isToldHow = !entry.takenUp;
      arm(entry);
    },
    see: (entries, jobs) => {
      for (const entry of entries) {
        const job = entry.element && jobs.get(keyOf(entry.element));
        if (job !== undefined && entry.state === 'runs') show(entry, job.state === 'suspended');
      }
    },
  };
}
