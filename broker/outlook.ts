import type { SiteId } from '../core/ids.ts';
import { type Advice, adviceFor } from '../core/match/advice.ts';
import type { Ask, Rules } from '../core/match/ask.ts';
import { type ExpectedStart, expectedStart } from '../core/match/expected-start.ts';
import type { Refusal } from '../core/match/refusal.ts';
import type { Reservation } from '../core/match/snapshot.ts';
import { openHearing, type Standards, verdicts } from '../core/match/verdicts.ts';
import type { ShareRecord } from '../core/share/share-tree.ts';
import { type Turn, turnsOf } from '../core/share/turn.ts';
import type { Book } from './book.ts';
import { type SiteRegistry, viewOf } from './site-registry.ts';

export interface OutlookParts {
  readonly book: Book;
  readonly sites: SiteRegistry;
  readonly rules: Rules;
  readonly reservations: () => readonly Reservation[];
}

/** A job that waits, or would. */
export interface Waiter {
  readonly ask: Ask;
  /** Names its ask class; '' where it has none yet. */
  readonly key: string;
  readonly seq: number;
  readonly share: ShareRecord;
}

/** What the grid says to a job that waits; the checks are those of the scheduling rounds, run on the sites as they are now. */
export interface Outlook {
  readonly verdicts: ReadonlyMap<SiteId, Refusal | undefined>;
  readonly advice: readonly Advice[];
  readonly turns: readonly Turn[];
  /** Waiting tasks of older jobs, and how many of them are the owner's own. */
  readonly ahead: { readonly tasks: number; readonly own: number };
  readonly start: ExpectedStart | undefined;
}

export function outlookFor(parts: OutlookParts, { ask, key, seq, share }: Waiter): Outlook {
  const { table, clock } = parts.book;
  const nowMs = clock.nowMs();
  const views = [...parts.sites.values()].map((site) => viewOf(site, table, nowMs));
  const shares = table.shares.sharesAt(nowMs);
  const standards: Standards = { key, nowMs, shares, reservations: parts.reservations() };
  const hearing = openHearing(views, parts.rules, standards);
  return {
    verdicts: verdicts(ask, views, parts.rules, standards),
    advice: adviceFor(ask, views, parts.rules, standards),
    turns: turnsOf(table.shares, share, nowMs),
    ahead: table.queues.tasksAhead(ask.owner, seq),
    start: expectedStart(ask, hearing, standards),
  };
}
