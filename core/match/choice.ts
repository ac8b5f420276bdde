import type { Lane } from './lane.ts';
import { openPool, type Pool } from './pool.ts';
import { canStart, canWait, type Room } from './room.ts';
import type { QueueItem, Snapshot } from './snapshot.ts';

/** The sites of a round. */
export interface Rooms {
  /** Those that take anything at all, sorted by id. */
  readonly open: readonly Room[];
  /** Those of them that had anything left when the round began. */
  readonly live: readonly Room[];
  /** Those of them where a tree is warm. */
  warmAt(tree: string): readonly Room[];
  readonly waitMs: Snapshot['waitMs'];
}

/** To start at once, or to wait in the backlog. */
type Way = 'start' | 'wait';

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
  const any = poolOf(way, lane, { ...item, inputs: '' }, rooms).best();
  if (any === undefined || item.inputs === '') return any;
  const warm = poolOf(way, lane, item, rooms).best();
  const { standing } = lane;
  return warm === undefined || standing.rank(any.slot) > standing.rank(warm.slot) ? any : warm;
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
  const from = inputs === '' ? rooms.live : rooms.warmAt(inputs);
  const pool = openPool(
    from.filter((room) => suits(lane, room) && !(shuns && isShunned(room))),
    {
      isUsable: (room) => canTake[way](room, lane),
      spare: spareAt[way],
      compare: tasteOf(lane, rooms.waitMs),
    },
  );
  lane.pools.set(name, pool);
  return pool;
}

/** What decides between two sites before what they have to spare. */
function tasteOf(
  { standing, key }: Lane,
  waitMs: Snapshot['waitMs'],
): (a: Room, b: Room) => number {
  const waitAt = ({ view }: Room): number =>
    waitStep(waitMs?.(key, view.id) ?? view.offer?.expectedWaitMs ?? 0);
  const priceAt = ({ view }: Room): number => view.offer?.price ?? 0;
  return (a, b) => {
    const [mine, other] = [standing.rank(a.slot), standing.rank(b.slot)];
    if (mine !== other) return mine > other ? -1 : 1;
    return waitAt(a) - waitAt(b) || priceAt(a) - priceAt(b);
  };
}

/** Waits are guesses: those that differ by less than a factor of two, or are below a second, count as equal. */
const waitStep = (ms: number): number => (ms < 1_000 ? 0 : 1 + Math.floor(Math.log2(ms / 1_000)));
