import type { Lane } from './lane.ts';
import { openPool, type Pool } from './pool.ts';
import { canStart, canWait, type Room } from './room.ts';
import { waitAt } from './site-view.ts';
import type { QueueItem } from './snapshot.ts';
import { LEAST_WAIT_MS, type Way } from './waits.ts';

/** The sites of a round. */
export interface Rooms {
  /** Those that take anything at all, sorted by id. */
  readonly open: readonly Room[];
  /** Those of them that had anything left when the round began. */
  readonly live: readonly Room[];
  /** Those of them where a tree is warm. */
  warmAt(tree: string): readonly Room[];
  /** All that can start anything, in the order of all asks of a ranking that wait alike. */
  readonly common: Map<string, Pool>;
  /** Expected waits as far as they are worked out, by way and kind, then by the index of the room. */
  readonly waits: Map<string, Float64Array>;
}

const canTake = { start: canStart, wait: canWait } as const;
const spareAt = {
  start: ({ free, view }: Room): number => free.cpus / Math.max(1, view.offer?.totalCpus ?? 1),
  wait: ({ backlogLeft }: Room): number => backlogLeft,
} as const;

/** Whether a site would take the class if it had room. */
export const suits = ({ standing }: Lane, { isOpen, slot }: Room): boolean =>
  isOpen && standing.suits(slot);

/**
 * The best site with room for one task of `item`, free room before a place in a backlog. The job's own rank decides,
 * then warm data, then the shorter wait, the lower price, the more to spare, the lower id. Sites to avoid are taken only
 * where no other could ever do.
 */
export function choose(lane: Lane, item: QueueItem, rooms: Rooms): Room | undefined {
  return bestFor('start', lane, item, rooms) ?? bestFor('wait', lane, item, rooms);
}

function bestFor(way: Way, lane: Lane, item: QueueItem, rooms: Rooms): Room | undefined {
  const any = bestOfAny(way, lane, item, rooms);
  if (any === undefined || item.inputs === '') return any;
  const warm = poolOf(way, lane, item, rooms).best();
  const { standing } = lane;
  return warm === undefined || standing.rank(any.slot) > standing.rank(warm.slot) ? any : warm;
}

/** How many sites of a common order a task passes over before its class gets an order of its own. */
const PATIENCE = 100;

/** Classes that rank alike share an order, as long as not too many of the best sites are no use to them. */
function bestOfAny(way: Way, lane: Lane, { avoid }: QueueItem, rooms: Rooms): Room | undefined {
  const isCommon = way === 'start' && avoid.length === 0 && !lane.isParticular;
  const found = isCommon
    ? commonPool(lane, rooms).bestOf((room) => suits(lane, room) && canStart(room, lane), PATIENCE)
    : 'unclear';
  if (found !== 'unclear') return found;
  if (isCommon) lane.isParticular = true;
  return poolOf(way, lane, { inputs: '', avoid }, rooms).best();
}

/** How long a task of the class is expected to wait at a site; each is worked out once in a round. */
function waitsOf(way: Way, { kind }: Lane, { waits, open }: Rooms): (room: Room) => number {
  const name = `${way} ${kind}`;
  const known = waits.get(name) ?? new Float64Array((open.at(-1)?.index ?? 0) + 1).fill(Number.NaN);
  waits.set(name, known);
  return ({ index, view }) => {
    const worked = known[index] ?? Number.NaN;
    return Number.isNaN(worked) ? (known[index] = waitAt(view, kind, way)) : worked;
  };
}

function commonPool(lane: Lane, rooms: Rooms): Pool {
  const { standing, kind } = lane;
  const { common, live } = rooms;
  const name = `${kind} ${standing.ranking}`;
  const known = common.get(name);
  if (known !== undefined) return known;
  const waitMs = waitsOf('start', lane, rooms);
  const pool = openPool(live, {
    isUsable: ({ free, tasksLeft }) => free.cpus > 0 && tasksLeft > 0,
    merits: (room) => meritsOf(room, standing.rank(room.slot), waitMs(room)),
    spare: spareAt.start,
  });
  common.set(name, pool);
  return pool;
}

function poolOf(
  way: Way,
  lane: Lane,
  { inputs, avoid }: Pick<QueueItem, 'inputs' | 'avoid'>,
  rooms: Rooms,
): Pool {
  const name = `${way} ${inputs} ${avoid.join()}`;
  const known = lane.pools.get(name);
  if (known !== undefined) return known;
  const isShunned = ({ view }: Room): boolean => avoid.includes(view.id);
  const shuns =
    avoid.length > 0 && rooms.open.some((room) => !isShunned(room) && suits(lane, room));
  const waitMs = waitsOf(way, lane, rooms);
  const from = inputs === '' ? rooms.live : rooms.warmAt(inputs);
  const pool = openPool(
    from.filter((room) => suits(lane, room) && !(shuns && isShunned(room))),
    {
      isUsable: (room) => canTake[way](room, lane),
      spare: spareAt[way],
      merits: (room) => meritsOf(room, lane.standing.rank(room.slot), waitMs(room)),
    },
  );
  lane.pools.set(name, pool);
  return pool;
}

/** What decides before what a site has to spare: the job's own rank, the wait, the price. */
const meritsOf = (room: Room, rank: number, waitMs: number): readonly [number, number, number] => [
  rank,
  -waitStep(waitMs),
  -(room.view.offer?.price ?? 0),
];

/** Waits are guesses: those that differ by less than a factor of two, or are below a second, count as equal. */
const waitStep = (ms: number): number =>
  ms < LEAST_WAIT_MS ? 0 : 1 + Math.floor(Math.log2(ms / LEAST_WAIT_MS));
