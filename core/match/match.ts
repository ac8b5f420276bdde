import type { JobId, SiteId } from '../ids.ts';
import { MAX_RETRY_DELAY_MS } from '../retry/retry.ts';
import { fairOrder } from '../share/fair-order.ts';
import type { Ask, Rules } from './ask.ts';
import { fits, type Need, needOf, subtract } from './need.ts';
import { freeAt, noRoom, type Refusal, refusalOf, type SiteView } from './refusal.ts';

/** Tasks of one job that wait; those of an array that have not come into being yet are one item. */
export interface QueueItem {
  readonly job: JobId;
  /** Rises with the time of submission. */
  readonly seq: number;
  readonly firstOrdinal: number;
  /** How many tasks from `firstOrdinal` on. */
  readonly tasks: number;
  /** Sites that have just failed it; taken only where nothing else could ever do. */
  readonly avoid: readonly SiteId[];
  /** Not to be placed before this instant; 0 for at once. */
  readonly notBeforeMs: number;
  /** Digest of the input tree, '' for none. */
  readonly inputs: string;
}

/** Waiting tasks of one ask class, first come first. */
export interface AskQueue {
  /** Names the class; no two queues share it. */
  readonly key: string;
  readonly ask: Ask;
  readonly items: Iterable<QueueItem>;
}

/** All that a round looks at. */
export interface Snapshot {
  readonly nowMs: number;
  readonly sites: readonly SiteView[];
  readonly queues: readonly AskQueue[];
  /** Cpus that each owner has in use now, by DN. */
  readonly inUse: ReadonlyMap<string, number>;
  readonly rules: Rules;
  /** The most placements of this round. */
  readonly limit: number;
}

/** A task and the site that gets it. */
export interface Placement {
  readonly job: JobId;
  readonly ordinal: number;
  readonly site: SiteId;
  /** Whether it goes into the site's backlog because nothing is free there now. */
  readonly backlog: boolean;
}

/** What a round decided. */
export interface RoundResult {
  readonly placements: readonly Placement[];
  /** For each ask class that was left waiting for lack of a site: every site with its refusal. */
  readonly refusals: ReadonlyMap<string, ReadonlyMap<SiteId, Refusal>>;
}

/** A site while a round fills it. */
interface Room {
  readonly view: SiteView;
  free: Need;
  backlogLeft: number;
}

/** A queue while a round empties it. */
interface Lane {
  readonly queue: AskQueue;
  readonly need: Need;
  readonly items: Iterator<QueueItem>;
  head: QueueItem | undefined;
  /** Tasks of `head` that this round has placed. */
  taken: number;
  /** Whether an item of it found no room. */
  starved: boolean;
  /** Sites that would take the class if they had room; filled when first needed. */
  eligible?: readonly Choice[];
}

interface Choice {
  readonly room: Room;
  readonly rank: number;
}

const byId = (a: SiteView, b: SiteView): number => (a.id < b.id ? -1 : 1);

/**
 * One scheduling round. Owners take turns, the one with the least in use first; inside an owner the oldest job goes
 * first, and a class that no site has room for does not hold up the owner's other classes. Nothing is placed beyond
 * what a site offered plus its own backlog. Same snapshot, same result, in whatever order it lists sites and queues.
 */
export function round(snapshot: Snapshot): RoundResult {
  const rooms = snapshot.sites.toSorted(byId).map(openRoom);
  const lanes = snapshot.queues.map(openLane).filter((lane) => lane.head !== undefined);
  const byOwner = Map.groupBy(lanes, (lane): string => lane.queue.ask.owner);
  const order = fairOrder(byOwner.keys(), snapshot.inUse);
  const placements: Placement[] = [];
  const refusals = new Map<string, ReadonlyMap<SiteId, Refusal>>();
  for (let owner = order.next(); owner !== undefined; owner = order.next()) {
    if (placements.length >= snapshot.limit) break;
    const lane = oldest(byOwner.get(owner) ?? []);
    if (lane === undefined) {
      order.leave(owner);
      continue;
    }
    const placement = placeHead(lane, rooms, snapshot);
    if (placement !== undefined) {
      placements.push(placement);
      order.charge(owner, lane.need.cpus);
    } else if (lane.starved) {
      refusals.set(lane.queue.key, refusalsOf(lane, rooms, snapshot.rules));
    }
  }
  return { placements, refusals };
}

function openRoom(view: SiteView): Room {
  const backlog = view.offer?.backlog ?? 0;
  return { view, free: freeAt(view), backlogLeft: Math.max(0, backlog - view.waiting) };
}

function openLane(queue: AskQueue): Lane {
  const items = queue.items[Symbol.iterator]();
  const need = needOf(queue.ask.resources);
  const lane: Lane = { queue, need, items, head: undefined, taken: 0, starved: false };
  advance(lane);
  return lane;
}

function advance(lane: Lane): void {
  const step = lane.items.next();
  lane.head = step.done === true ? undefined : step.value;
  lane.taken = 0;
}

function oldest(lanes: readonly Lane[]): Lane | undefined {
  let first: Lane | undefined;
  for (const lane of lanes) {
    if (lane.head === undefined) continue;
    const difference = first?.head === undefined ? -1 : lane.head.seq - first.head.seq;
    const tie = difference === 0 && first !== undefined && lane.queue.key < first.queue.key;
    if (difference < 0 || tie) first = lane;
  }
  return first;
}

/** No pause is longer than the longest: where it seems so the clock has gone back. */
const isDue = ({ notBeforeMs }: QueueItem, nowMs: number): boolean =>
  notBeforeMs <= nowMs || notBeforeMs > nowMs + MAX_RETRY_DELAY_MS;

/**
 * Places one task of the first item that can be placed. Items that back off, or that keep away from the only sites
 * with room, are passed over; when a plain item finds no room none of its class would, and the lane is closed.
 */
function placeHead(lane: Lane, rooms: readonly Room[], snapshot: Snapshot): Placement | undefined {
  for (let item = lane.head; item !== undefined; item = lane.head) {
    if (isDue(item, snapshot.nowMs)) {
      const room = choose(lane, item, rooms, snapshot.rules);
      if (room !== undefined) return take(lane, item, room);
      lane.starved = true;
      if (item.avoid.length === 0) {
        lane.head = undefined;
        return undefined;
      }
    }
    advance(lane);
  }
  return undefined;
}

function take(lane: Lane, item: QueueItem, room: Room): Placement {
  const { need } = lane;
  const backlog = !fits(need, room.free);
  if (backlog) room.backlogLeft -= 1;
  room.free = subtract(room.free, need);
  const ordinal = item.firstOrdinal + lane.taken;
  lane.taken += 1;
  if (lane.taken >= item.tasks) advance(lane);
  return { job: item.job, ordinal, site: room.view.id, backlog };
}

/** The best site with room for one task of `item`. */
function choose(
  lane: Lane,
  item: QueueItem,
  rooms: readonly Room[],
  rules: Rules,
): Room | undefined {
  lane.eligible ??= eligibleFor(lane.queue.ask, rooms, rules);
  const others = lane.eligible.filter(({ room }) => !item.avoid.includes(room.view.id));
  const choices = others.length > 0 ? others : lane.eligible;
  const now = choices.filter(({ room }) => fits(lane.need, room.free));
  if (now.length > 0) return best(now, item, (room) => freeFraction(room));
  const later = choices.filter(({ room }) => room.backlogLeft > 0);
  return best(later, item, (room) => room.backlogLeft);
}

function eligibleFor(ask: Ask, rooms: readonly Room[], rules: Rules): readonly Choice[] {
  return rooms.flatMap((room) => {
    const { offer } = room.view;
    if (offer === undefined || refusalOf(ask, room.view, rules) !== undefined) return [];
    return [{ room, rank: rules.rank(ask, offer) }];
  });
}

/** The job's own rank first, then warm data, then `spare`; what is equal goes to the lowest site id. */
function best(
  choices: readonly Choice[],
  item: QueueItem,
  spare: (room: Room) => number,
): Room | undefined {
  let winner: Choice | undefined;
  let score: readonly number[] = [];
  for (const choice of choices) {
    const warm = item.inputs !== '' && choice.room.view.offer?.warmTrees.includes(item.inputs);
    const own = [choice.rank, warm === true ? 1 : 0, spare(choice.room)];
    if (winner === undefined || isHigher(own, score)) {
      winner = choice;
      score = own;
    }
  }
  return winner?.room;
}

function isHigher(a: readonly number[], b: readonly number[]): boolean {
  for (const [index, value] of a.entries()) {
    const other = b[index] ?? 0;
    if (value !== other) return value > other;
  }
  return false;
}

const freeFraction = ({ view, free }: Room): number =>
  free.cpus / Math.max(1, view.offer?.totalCpus ?? 1);

function refusalsOf(
  lane: Lane,
  rooms: readonly Room[],
  rules: Rules,
): ReadonlyMap<SiteId, Refusal> {
  return new Map(
    rooms.map(({ view, free }) => [
      view.id,
      refusalOf(lane.queue.ask, view, rules) ?? noRoom(lane.need, free),
    ]),
  );
}

/** What every site says to an ask now: a refusal, or undefined where it could start (or wait in the backlog). */
export function verdicts(
  ask: Ask,
  sites: readonly SiteView[],
  rules: Rules,
): ReadonlyMap<SiteId, Refusal | undefined> {
  const need = needOf(ask.resources);
  return new Map(
    sites.toSorted(byId).map((view) => {
      const room = openRoom(view);
      const hasRoom = fits(need, room.free) || room.backlogLeft > 0;
      return [
        view.id,
        refusalOf(ask, view, rules) ?? (hasRoom ? undefined : noRoom(need, room.free)),
      ];
    }),
  );
}
