import { EMPTY_TREE } from '../../core/data/manifest.ts';
import type { AttemptId } from '../../core/ids.ts';
import type { Outcome } from '../../core/job/outcome.ts';
import { background } from '../../service/background.ts';
import type { Log } from '../../service/log.ts';
import type { AttemptState, Ending, Journal } from '../journal/journal.ts';
import type { Lrms } from '../lrms/lrms.ts';
import type { Attempt } from './attempt.ts';
import { failed, NO_USAGE, type Verdict } from './outcome.ts';

/** The state of an attempt that did not fail. */
export const finalState = (ending: Ending): AttemptState => (ending === '' ? 'done' : 'cancelled');

const WORDS: Readonly<Record<Ending, string>> = {
  '': '',
  cancelled: 'it was cancelled',
  unwanted: 'the broker no longer wanted it here',
  owner: 'the owner of the machine wants it',
  'lease-expired': 'the site lost its broker and ended it before its lease ran out',
};

/** For a task that was told to end, however it did. */
export const cancelledVerdict = ({ exitCode, signal }: Verdict): Verdict & { failure?: never } => ({
  exitCode,
  signal,
  reason: 'CANCELLED',
  detail: WORDS.cancelled,
});

/** Between TERM and KILL of a task that was cancelled. */
export const CANCEL_GRACE_MS = 3_000;

/** How attempts are to end. */
export interface EndingWish {
  readonly graceMs?: number;
  /** From now on; absent where nothing hangs on it. */
  readonly latestMs?: number;
  /** For people. */
  readonly why?: string;
}

/** What an attempt was told. */
interface Told {
  readonly ending: Ending;
  /** Why, where that is more than `ending` says; '' otherwise. */
  readonly endingDetail: string;
}

/** Its result is not wanted, whatever it is: another attempt makes it. */
export const isForfeit = (ending: Ending): boolean =>
  ending === 'lease-expired' || ending === 'owner';

/** For an attempt that was told to end before its task had run, or whose result nobody wants. */
export function endedEarly({ ending, endingDetail }: Told): Outcome {
  if (ending === 'owner') return failed('owner', 'OWNER_RETURNED', endingDetail || WORDS[ending]);
  if (ending === 'lease-expired') return failed('site', 'LEASE_EXPIRED', WORDS[ending]);
  const verdict = { exitCode: 0, signal: 0, reason: 'CANCELLED', detail: WORDS[ending] };
  return { ...verdict, usage: NO_USAGE, outputs: EMPTY_TREE };
}

interface Around {
  readonly journal: Pick<Journal, 'intend' | 'takeBack'>;
  readonly log: Log;
  readonly lrms: Promise<Pick<Lrms, 'cancel'>>;
}

/** Ends these; a latest instant holds for those too that were told to end before. Resolves once the journal has the reason. */
export async function tellToEnd(
  attempts: readonly Attempt[],
  ending: Exclude<Ending, ''>,
  { graceMs = CANCEL_GRACE_MS, latestMs, why = '' }: EndingWish,
  around: Around,
): Promise<void> {
  const wanted = attempts.filter((one) => one.ending === '');
  if (wanted.length > 0) await intend(wanted, ending, around);
  const lrms = await around.lrms;
  const others = latestMs === undefined ? [] : attempts.filter((one) => one.ending !== '');
  for (const { id } of others) lrms.cancel(id, graceMs, latestMs);
  for (const attempt of unended(wanted, ending, around)) {
    attempt.ending = ending;
    attempt.endingDetail = why;
    attempt.abort.abort();
    lrms.cancel(attempt.id, graceMs, latestMs);
  }
}

/** Resolves once the journal has the reason to end these; for what does not bear waiting, whether it takes it or not. */
async function intend(
  attempts: readonly { readonly id: AttemptId }[],
  ending: Ending,
  { journal, log }: { readonly journal: Pick<Journal, 'intend'>; readonly log: Log },
): Promise<void> {
  const ids = attempts.map(({ id }) => id);
  const intended = journal.intend(ids, ending);
  if (!isForfeit(ending)) return intended;
  const noted = intended.catch((error: unknown) =>
    log.error({ err: error, ending, ids }, 'a later run will not know why tasks were ended'),
  );
  // Another site may have them when the lease is over.
  if (ending !== 'lease-expired') await noted;
}

/**
 * Those that are still to end: one may have been told another reason while this one was written down, or have come to its own
 * end, and then a later run must not go by it.
 */
function unended<Some extends Ended>(
  attempts: readonly Some[],
  ending: Ending,
  { journal, log }: { readonly journal: Pick<Journal, 'takeBack'>; readonly log: Log },
): readonly Some[] {
  const spared = isForfeit(ending) ? attempts.filter(({ vacated }) => vacated) : [];
  const ids = spared.map(({ id }) => id);
  if (ids.length > 0)
    background('take back why tasks were to end', journal.takeBack(ids, ending), log);
  return attempts.filter((one) => one.ending === '' && !spared.includes(one));
}

type Ended = Pick<Attempt, 'id' | 'ending' | 'vacated'>;
