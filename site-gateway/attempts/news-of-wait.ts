import type { AttemptState } from '../journal/journal.ts';
import type { AttemptStaging } from '../staging/staging.ts';
import type { Attempt } from './attempt.ts';

interface Asks {
  /** Why the batch system lets it wait; '' where it says nothing. */
  readonly waitReason: (id: Attempt['id']) => string;
  readonly staging: Pick<AttemptStaging, 'waitsFor'>;
}

interface News {
  readonly state: AttemptState;
  readonly detail: string;
}

/** A task that has waited this long is told of as `submitted`. */
export const WAITING_MS = 1_000;
const WAITING: readonly AttemptState[] = ['accepted', 'staging-in', 'submitted'];

/** What of an attempt that waits, or whose files move, is to be told now; undefined where nothing is new. */
export function newsOfWait(attempt: Attempt, nowMs: number, asks: Asks): News | undefined {
  const { state, submittedAtMs } = attempt;
  if (state === 'running') return newsOfTransfer(attempt, nowMs);
  if (state === 'staging-out' || (state === 'staging-in' && submittedAtMs === 0))
    return newsOfStaging(attempt, asks);
  const isPlaced = submittedAtMs > 0 && nowMs - submittedAtMs >= WAITING_MS;
  return isPlaced && WAITING.includes(state) ? newsOfQueue(attempt, asks) : undefined;
}

/** That its files move again is news, too. */
function newsOfStaging(attempt: Attempt, { staging }: Asks): News | undefined {
  const { state, ending, toldWaiting } = attempt;
  const detail = ending === '' ? staging.waitsFor(attempt) : toldWaiting;
  return detail === toldWaiting ? undefined : { state, detail };
}

function newsOfQueue({ id, state, toldWaiting }: Attempt, { waitReason }: Asks): News | undefined {
  const detail = waitReason(id);
  const isOld = state === 'submitted' && (detail === '' || detail === toldWaiting);
  return isOld ? undefined : { state: 'submitted', detail };
}

/** Of what the gateway itself does. */
function newsOfTransfer(
  { state, ending, progress, toldWaiting }: Attempt,
  nowMs: number,
): News | undefined {
  const detail = progress === undefined || ending !== '' ? '' : progress.words(nowMs);
  return detail === '' || detail === toldWaiting ? undefined : { state, detail };
}
