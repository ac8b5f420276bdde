import type { SiteId } from '../../core/ids.ts';
import { type Advice, adviceFor } from '../../core/match/advice.ts';
import type { Ask, Rules } from '../../core/match/ask.ts';
import { type ExpectedStart, expectedStart } from '../../core/match/expected-start.ts';
import type { Refusal } from '../../core/match/refusal.ts';
import { type SiteView, waitAt } from '../../core/match/site-view.ts';
import type { Reservation } from '../../core/match/snapshot.ts';
import { type Hearing, openHearing, type Standards, verdicts } from '../../core/match/verdicts.ts';
import { waitKindOf } from '../../core/match/waits.ts';
import { type Ahead, tasksAhead } from '../../core/share/ahead.ts';
import type { ShareRecord, ShareTree } from '../../core/share/share-tree.ts';
import { claimantOf } from '../../core/share/shares.ts';
import { type Turn, turnsOf } from '../../core/share/turn.ts';
import type { Book } from '../book.ts';
import type { SiteRegistry } from '../sites/site-registry.ts';
import { viewOf } from '../sites/site-view.ts';
import type { AskQueues } from './ask-queues.ts';

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
  /** How long a task of it is expected to wait at each, where it could go as soon as there is room. */
  readonly waitsMs: ReadonlyMap<SiteId, number>;
  readonly advice: readonly Advice[];
  readonly turns: readonly Turn[];
  readonly ahead: Ahead;
  readonly start: ExpectedStart | undefined;
}

/** All that an answer looks at. */
export interface Grid {
  readonly nowMs: number;
  readonly views: readonly SiteView[];
  readonly rules: Rules;
  readonly reservations: readonly Reservation[];
  readonly queues: Pick<AskQueues, 'census'>;
  readonly shares: ShareTree;
}

export function outlookFor(parts: OutlookParts, waiter: Waiter): Outlook {
  const { table, clock } = parts.book;
  const nowMs = clock.nowMs();
  const views = [...parts.sites.values()].map((site) => viewOf(site, table, nowMs));
  const { queues, shares } = table;
  const grid = { nowMs, views, rules: parts.rules, reservations: parts.reservations() };
  return outlookOn({ ...grid, queues, shares }, waiter);
}

/** The same of a grid that is at hand. */
export function outlookOn(grid: Grid, { ask, key, seq, share }: Waiter): Outlook {
  const { nowMs, views, rules, reservations, queues } = grid;
  const shares = grid.shares.sharesAt(nowMs);
  const standards: Standards = { key, nowMs, shares, reservations };
  const hearing = openHearing(views, rules, standards);
  const said = verdicts(ask, views, rules, standards);
  return {
    verdicts: said,
    waitsMs: waitsOf(ask, hearing, said),
    advice: adviceFor(ask, views, rules, standards),
    turns: turnsOf(grid.shares, share, nowMs),
    ahead: tasksAhead(queues.census(seq), claimantOf(ask), shares),
    start: expectedStart(ask, hearing, standards),
  };
}

/** Of the sites that would take it now, or that are full. */
function waitsOf(
  ask: Ask,
  { rooms, judge }: Hearing,
  said: Outlook['verdicts'],
): Outlook['waitsMs'] {
  const kind = waitKindOf(ask.resources);
  const verdict = judge(ask);
  return new Map(
    rooms.flatMap((room) => {
      const { id } = room.view;
      const code = said.get(id)?.code ?? 'no-free-slots';
      if (code !== 'no-free-slots') return [];
      const way = verdict(room).startsNow ? 'start' : 'wait';
      return [[id, waitAt(room.view, kind, way)] as const];
    }),
  );
}
