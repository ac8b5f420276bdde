import type { SiteId } from '../ids.ts';
import { type Cap, capAgainst } from '../share/fair-order.ts';
import { claimantOf, type Shares } from '../share/shares.ts';
import { counted } from '../units.ts';
import type { Ask, Rules } from './ask.ts';
import { needOf } from './need.ts';
import { byId } from './pass.ts';
import { type Refusal, refusalOf } from './refusal.ts';
import { canStart, canWait, type Demand, openRoom, type Room, roomRefusal } from './room.ts';
import { type SiteView } from './site-view.ts';
import type { Reservation } from './snapshot.ts';

/** What verdicts look at beside sites; what is absent refuses nothing. */
export interface Standards {
  /** Names the class of the ask, so that a reservation of its own is none against it. */
  readonly key?: string;
  readonly nowMs?: number;
  readonly shares?: Shares;
  readonly reservations?: readonly Reservation[];
}

/** What a site says to an ask. */
export interface Verdict {
  /** Undefined where it could start, or wait in the backlog. */
  readonly refusal: Refusal | undefined;
  readonly startsNow: boolean;
}

/** The sites as they are at one moment, to be asked about any number of asks. */
export interface Hearing {
  /** By id. */
  readonly rooms: readonly Room[];
  readonly judge: (ask: Ask) => (room: Room) => Verdict;
}

export function openHearing(
  sites: readonly SiteView[],
  rules: Rules,
  { key = '', nowMs = 0, shares, reservations = [] }: Standards = {},
): Hearing {
  const held = new Map(reservations.map((reservation) => [reservation.site, reservation]));
  const rooms = sites.toSorted(byId).map((view, index) => {
    const room = openRoom(view, index, index);
    const hold = held.get(view.id);
    if (hold !== undefined) room.hold = { ...hold };
    return room;
  });
  const judge: Hearing['judge'] = (ask) => {
    const need = needOf(ask.resources);
    const demand: Demand = { key, need, nowMs, endsByMs: nowMs + ask.resources.walltimeMs };
    const cap = shares && capAgainst(shares, claimantOf(ask), need.cpus);
    const capped = cap && capRefusal(cap, demand);
    const never = capped?.lasting === true ? capped : undefined;
    return (room) => {
      const refusal = never ?? refusalOf(ask, room.view, rules) ?? capped;
      if (refusal !== undefined) return { refusal, startsNow: false };
      const startsNow = canStart(room, demand);
      const hasRoom = startsNow || canWait(room, demand);
      return { refusal: hasRoom ? undefined : roomRefusal(room, demand), startsNow };
    };
  };
  return { rooms, judge };
}

/** What every site says to an ask now: a refusal, or undefined where it could start (or wait in the backlog). */
export function verdicts(
  ask: Ask,
  sites: readonly SiteView[],
  rules: Rules,
  standards?: Standards,
): ReadonlyMap<SiteId, Refusal | undefined> {
  const { rooms, judge } = openHearing(sites, rules, standards);
  const verdict = judge(ask);
  return new Map(rooms.map((room) => [room.view.id, verdict(room).refusal]));
}

/** The words for a cap that is reached. */
export function capRefusal({ node, runningCpus, maxCpus }: Cap, { need }: Demand): Refusal {
  return {
    code: 'quota-reached',
    detail: `needs ${counted(need.cpus, 'cpu')}, ${node.at(-1)} runs ${runningCpus} of at most ${maxCpus}`,
    lasting: need.cpus > maxCpus,
  };
}
