import type { Rules } from '../../core/match/ask.ts';
import { round } from '../../core/match/match.ts';
import { openRoundMemory, type RoundMemory } from '../../core/match/memory.ts';
import type { Reservation } from '../../core/match/snapshot.ts';
import { type Access, isServed } from '../../core/vo/policy.ts';
import { background } from '../../service/background.ts';
import { type Book, begin, commit } from '../book.ts';
import { place } from '../jobs/moves.ts';
import type { AttemptRecord } from '../jobs/records.ts';
import type { SiteRegistry } from '../sites/site-registry.ts';
import { viewOf } from '../sites/site-view.ts';

/** Scheduling rounds: one soon after anything that may let a job start, and one a second while jobs wait. */
export interface Rounds extends Disposable {
  /** Something changed; many calls at once make one round. */
  trigger(): void;
  /** Room that is kept since the last round. */
  readonly reservations: () => readonly Reservation[];
}

export interface RoundsOptions {
  readonly book: Book;
  readonly sites: SiteRegistry;
  readonly rules: Rules;
  readonly access: Pick<Access, 'vos'>;
  /** Sends attempts that are in the ledger. */
  readonly send: (attempts: readonly AttemptRecord[]) => void;
  readonly onFatal: (error: unknown) => void;
}

const GATHER_MS = 5;
const TICK_MS = 1_000;
/** A round that places more than this is followed by another one at once. */
const MAX_PLACEMENTS = 2_000;

/** What one round leaves for the next. */
interface Carried {
  readonly memory: RoundMemory;
  reservations: readonly Reservation[];
}

export function openRounds(options: RoundsOptions): Rounds {
  const { book, onFatal } = options;
  const carried: Carried = { memory: openRoundMemory(), reservations: [] };
  let timer: NodeJS.Timeout | undefined;
  const trigger = (): void => {
    timer ??= setTimeout(() => {
      timer = undefined;
      background('schedule', runRound(options, carried, trigger), book.log, onFatal);
    }, GATHER_MS);
  };
  // Offers grow old and pauses end without anything that tells of it.
  const tick = setInterval(trigger, TICK_MS);
  return {
    trigger,
    reservations: () => carried.reservations,
    [Symbol.dispose]: () => {
      clearTimeout(timer);
      clearInterval(tick);
    },
  };
}

/** One round: decided and put into memory in one go, sent when it is in the ledger. */
async function runRound(
  options: RoundsOptions,
  carried: Carried,
  again: () => void,
): Promise<void> {
  const { book, sites, rules, access } = options;
  const { table } = book;
  // Jobs of a VO that is served no more wait until it is again.
  const queues = table.queues.list().filter(({ ask }) => isServed(ask.vo, access));
  if (queues.length === 0 || sites.size === 0) return;
  const set = begin(book);
  const { placements, reservations } = round(
    {
      nowMs: set.nowMs,
      sites: [...sites.values()].map((site) => viewOf(site, table, set.nowMs)),
      queues,
      shares: table.shares.sharesAt(set.nowMs),
      rules,
      limit: MAX_PLACEMENTS,
      reservations: carried.reservations,
    },
    carried.memory,
  );
  carried.reservations = reservations;
  if (placements.length === 0) return;
  const attempts = placements.map((placement) => {
    const attempt = place(table, set, placement);
    const site = sites.get(attempt.site);
    site?.unreflected.add(attempt);
    if (site?.conduct.quarantine !== undefined) site.probe = attempt;
    return attempt;
  });
  if (placements.length >= MAX_PLACEMENTS) again();
  await commit(book, set);
  options.send(attempts);
}
