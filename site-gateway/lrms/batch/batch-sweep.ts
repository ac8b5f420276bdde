import type { Clock } from '../../../service/clock.ts';
import type { Submissions } from './submissions.ts';

const SWEEP_MS = 600_000;

/**
 * Removes old submissions now and then: called often, it works seldom. First when what earlier runs left has long been
 * taken up, for until then everything old looks as if nobody used it.
 */
export function openSweep(options: {
  readonly clock: Clock;
  readonly submissions: Pick<Submissions, 'sweep'>;
  readonly isUsed: (token: string) => boolean;
}): () => Promise<void> {
  const { clock, submissions, isUsed } = options;
  let sweptAtMs = clock.monotonicMs();
  return async () => {
    if (clock.monotonicMs() - sweptAtMs < SWEEP_MS) return;
    sweptAtMs = clock.monotonicMs();
    await submissions.sweep(clock.nowMs(), isUsed);
  };
}
