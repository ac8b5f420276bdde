import type { AttemptState } from '../journal/journal.ts';
import type { AttemptStaging } from '../staging/staging.ts';
import type { Attempt } from './attempt.ts';

interface Asks {
  /** Why the batch system lets it wait; '' where it says nothing. */
  readonly waitReason: (id: Attempt['id']) => string;
  readonly staging: Pick<AttemptStaging, 'waitsFor'>;
}

/** A task that has waited this long is told of as `submitted`. */
export const WAITING_MS = 1_000;
const WAITING: readonly AttemptState[] = ['accepted', 'staging-in', 'submitted'];

/** What of an attempt that waits is to be told now; undefined where nothing is new. */
export function newsOfWait(
  attempt: Attempt,
  nowMs: number,
  { waitReason, staging }: Asks,
): { readonly state: AttemptState; readonly detail: string } | undefined {
  const { state, ending, submittedAtMs, toldWaiting } = attempt;
  const moves = state === 'staging-out' || (state === 'staging-in' && submittedAtMs === 0);
  if (moves) {
    // That its files move again is news, too.
    const detail = ending === '' ? staging.waitsFor(attempt) : toldWaiting;
    return detail === toldWaiting ? undefined : { state, detail };
  }
  if (submittedAtMs === 0 || nowMs - submittedAtMs < WAITING_MS) return undefined;
  if (!WAITING.includes(state)) return undefined;
  const detail = waitReason(attempt.id);
  const isOld = state === 'submitted' && (detail === '' || detail === toldWaiting);
  return isOld ? undefined : { state: 'submitted', detail };
}
