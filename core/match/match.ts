import type { SiteId } from '../ids.ts';
import { choose, suits } from './choice.ts';
import { advance, type Lane } from './lane.ts';
import { openRoundMemory, type RoundMemory, tidy } from './memory.ts';
import { lanesByClaimant, openPass, type Pass } from './pass.ts';
import { type Refusal, refusalOf } from './refusal.ts';
import { openingAt, reserve } from './reservation.ts';
import { canStart, type Room, roomRefusal, take } from './room.ts';
import type { QueueItem, Reservation, RoundResult, Snapshot } from './snapshot.ts';
import { capRefusal } from './verdicts.ts';

/**
 * One scheduling round. Claimants take turns by their shares; for each its oldest job goes first, and a class that no
 * site has room for does not hold up the others. Nothing is placed beyond what a site offered plus its own backlog, nor
 * beyond a cap. Same snapshot, same result, in whatever order it lists sites and queues, and whatever `memory` holds.
 */
export function round(snapshot: Snapshot, memory: RoundMemory = openRoundMemory()): RoundResult {
  const pass = openPass(snapshot, memory);
  const { order, lanes, placements } = pass;
  for (const reservation of (snapshot.reservations ?? []).toSorted(byPromise))
    keepPromise(pass, reservation);
  const waiting = lanesByClaimant(lanes);
  for (let claimant = order.next(); claimant !== undefined; claimant = order.next()) {
    if (placements.length >= snapshot.limit) break;
    const queue = waiting.get(claimant);
    const lane = queue?.first();
    if (queue === undefined || lane === undefined) {
      order.leave(claimant);
      continue;
    }
    placeNext(pass, lane);
    if (lane.head === undefined) queue.pop();
    else queue.sink();
  }
  tidy(memory, lanes.size);
  return { placements, refusals: refusalsOf(pass), reservations: reservationsOf(pass) };
}

const byPromise = (a: Reservation, b: Reservation): number =>
  a.fromMs - b.fromMs || (a.site < b.site ? -1 : 1);

/** Starts what has been promised room and has it now, before anybody takes a turn; else goes on keeping it. */
function keepPromise(pass: Pass, { key, site, fromMs }: Reservation): void {
  const lane = pass.lanes.get(key);
  const room = pass.rooms.open.find(({ view }) => view.id === site);
  const item = lane?.head;
  if (lane === undefined || item === undefined || room === undefined || !suits(lane, room)) return;
  if (room.hold !== undefined || item.avoid.includes(site)) return;
  if (isBarred(pass, lane, item)) return;
  const opening = openingAt(room, lane);
  if (opening === undefined) return;
  if (canStart(room, lane) && pass.placements.length < pass.snapshot.limit)
    placeAt(pass, lane, item, room);
  else room.hold = { key, fromMs: Math.min(fromMs, opening.atMs), spare: opening.spare };
}

/**
 * Places one task of the first item that can be placed. Items that keep away from the only sites with room are passed
 * over; when a plain item finds no room none of its class would, and the lane is closed.
 */
function placeNext(pass: Pass, lane: Lane): void {
  for (let item = lane.head; item !== undefined; item = lane.head) {
    if (isSpent(pass, item)) {
      advance(lane);
      continue;
    }
    const cap = pass.order.capAgainst(lane.claimant, lane.need.cpus);
    const room = cap === undefined ? choose(lane, item, pass.rooms) : undefined;
    if (room !== undefined) {
      placeAt(pass, lane, item, room);
      return;
    }
    if (lane.starved === undefined) {
      lane.starved = { job: item.job, ordinal: item.firstOrdinal + lane.taken };
      if (cap !== undefined) lane.cap = cap;
      else search(pass, lane, item);
    }
    if (cap !== undefined || item.avoid.length === 0) {
      lane.head = undefined;
      return;
    }
    advance(lane);
  }
}

/** Whether as many tasks of the job are placed as may be. */
const isSpent = ({ placedOf }: Pass, { job, left }: QueueItem): boolean =>
  left !== undefined && (placedOf.get(job) ?? 0) >= left;

const isBarred = (pass: Pass, { claimant, need }: Lane, item: QueueItem): boolean =>
  isSpent(pass, item) || pass.order.capAgainst(claimant, need.cpus) !== undefined;

function search(pass: Pass, lane: Lane, item: QueueItem): void {
  if (pass.searchesLeft === 0) return;
  pass.searchesLeft -= 1;
  reserve(lane, item, pass.rooms);
}

function placeAt(pass: Pass, lane: Lane, item: QueueItem, room: Room): void {
  const backlog = take(room, lane);
  const ordinal = item.firstOrdinal + lane.taken;
  pass.placements.push({ job: item.job, ordinal, site: room.view.id, backlog });
  pass.order.charge(lane.claimant, lane.need);
  if (item.left !== undefined) pass.placedOf.set(item.job, (pass.placedOf.get(item.job) ?? 0) + 1);
  lane.taken += 1;
  if (lane.taken >= item.tasks) advance(lane);
}

function reservationsOf({ rooms, lanes }: Pass): readonly Reservation[] {
  return rooms.open.flatMap(({ hold, view }) => {
    const lane = hold && lanes.get(hold.key);
    const task = lane?.starved ?? (lane && firstOf(lane));
    return hold === undefined || task === undefined ? [] : [{ ...hold, ...task, site: view.id }];
  });
}

function firstOf({ head, taken }: Lane): Lane['starved'] {
  return head && { job: head.job, ordinal: head.firstOrdinal + taken };
}

function refusalsOf(pass: Pass): RoundResult['refusals'] {
  const starved = [...pass.lanes.values()].filter((lane) => lane.starved !== undefined);
  return new Map(starved.map((lane) => [lane.key, () => refusalsFor(pass, lane)]));
}

function refusalsFor({ sites, snapshot }: Pass, lane: Lane): ReadonlyMap<SiteId, Refusal> {
  const { ask } = lane.queue;
  const capped = lane.cap && capRefusal(lane.cap, lane);
  return new Map(
    sites.map((room) => [
      room.view.id,
      refusalOf(ask, room.view, snapshot.rules) ?? capped ?? roomRefusal(room, lane),
    ]),
  );
}
