import { pause } from '../../../service/background.ts';
import type { Clock } from '../../../service/clock.ts';
import type { Log } from '../../../service/log.ts';
import { BatchSilence } from './batch-command.ts';
import type { BatchHealth } from './batch-health.ts';
import type { BatchSignals } from './batch-signals.ts';
import { type BatchPoll, type BatchSystem, type JobOwners, POLL_MS } from './batch-system.ts';

export interface WatchOptions {
  readonly system: BatchSystem;
  readonly owners: JobOwners;
  readonly health: BatchHealth;
  readonly clock: Clock;
  readonly log: Log;
  /** Least time between two looks; 5 s where it is not said. */
  readonly pollMs?: number;
  readonly signal: AbortSignal;
  /** What it waits for is looked for more often. */
  readonly signals: Pick<BatchSignals, 'urgent' | 'isUrgent'>;
  /** What a look that began at `beganAtMs`, monotonic, has shown. */
  readonly onPoll: (poll: BatchPoll, beganAtMs: number) => Promise<void>;
}

/** A slow system is looked at less often: it is busy with looks for a twentieth of the time at most. */
const POLL_SHARE = 20;
const MAX_POLL_MS = 60_000;
const URGENT_MS = 1_000;

/** Looks at the batch system again and again, less often while it is slow or away; gives what ends when the signal fires. */
export async function watchBatch(options: WatchOptions): Promise<() => Promise<void>> {
  const { signal, log } = options;
  const firstMs = await look(options);
  return async () => {
    for (let ms = firstMs; !signal.aborted; ) {
      await untilDue(options, ms);
      if (signal.aborted) return;
      ms = await look(options).catch((error: unknown) => {
        log.error({ err: error }, 'a look at the batch system failed');
        return MAX_POLL_MS;
      });
    }
  };
}

/** The script of a task that was killed says nothing any more: the batch system has to. */
async function untilDue({ signals, signal }: WatchOptions, ms: number): Promise<void> {
  const { urgent } = signals;
  const soonMs = Math.max(Math.min(ms, URGENT_MS), ms / POLL_SHARE);
  const seen = urgent.version();
  await urgent.after(seen, signals.isUrgent() ? soonMs : ms, signal);
  if (urgent.version() > seen) await pause(soonMs, signal);
}

/** One look at everything; gives the time until the next. */
async function look({
  system,
  owners,
  health,
  clock,
  pollMs = POLL_MS,
  onPoll,
}: WatchOptions): Promise<number> {
  const beganAtMs = clock.monotonicMs();
  try {
    const poll = await system.poll(owners);
    const tookMs = clock.monotonicMs() - beganAtMs;
    health.answered(poll);
    await onPoll(poll, beganAtMs);
    return Math.min(MAX_POLL_MS, Math.max(pollMs, tookMs * POLL_SHARE));
  } catch (error) {
    if (!(error instanceof BatchSilence)) throw error;
    health.silent(error);
    return Math.min(MAX_POLL_MS, pollMs * 2 ** Math.min(health.failures(), 10));
  }
}
