import { type Rooms, suits } from './choice.ts';
import type { Lane } from './lane.ts';
import { add, fits, type Need, subtract } from './need.ts';
import type { Demand, Room } from './room.ts';
import type { Run } from './site-view.ts';
import type { QueueItem } from './snapshot.ts';

/**
 * Reservations, so that what needs much is not starved by a stream of what needs little. A task that finds no room when
 * it is its turn, and needs more than one running task gives back, gets the site where enough is free first, by the
 * walltimes of what runs there. Until then others may start there if they end before, or leave alone what is kept (EASY
 * backfill). The instant never moves to a later one: tasks that run longer than they said, or a clock that jumps ahead,
 * close the site to others until there is room.
 */

/** Rooms that are kept at the same time. */
const MAX_HOLDS = 16;
/** Classes for which a round looks for a site to keep: each costs a look at every site. */
export const MAX_SEARCHES = 32;

/** When enough is free at a site, by the walltimes of what runs there. */
interface Opening {
  readonly room: Room;
  readonly atMs: number;
  /** What is free beside the task then. */
  readonly spare: Need;
  /** Whether the end of a single task gives all that it needs. */
  readonly isPlain: boolean;
}

/** Keeps room for `lane` at the site where there will be enough first. */
export function reserve(lane: Lane, item: QueueItem, { open }: Rooms): void {
  const holds = open.flatMap(({ hold }) => hold ?? []);
  if (holds.length >= MAX_HOLDS || holds.some(({ key }) => key === lane.key)) return;
  let first: Opening | undefined;
  for (const room of open) {
    if (!mayKeep(room, lane, item)) continue;
    const opening = openingAt(room, lane);
    if (opening && opening.atMs < (first?.atMs ?? Number.POSITIVE_INFINITY)) first = opening;
  }
  if (first === undefined || first.isPlain) return;
  first.room.hold = { key: lane.key, fromMs: first.atMs, spare: first.spare };
}

const mayKeep = (room: Room, lane: Lane, { avoid }: QueueItem): boolean =>
  room.hold === undefined && suits(lane, room) && !avoid.includes(room.view.id);

/** Undefined where even the end of all that is known to run there would not give enough, or while it is on probation. */
export function openingAt(
  room: Room,
  { need, nowMs }: Pick<Demand, 'need' | 'nowMs'>,
): Opening | undefined {
  if (room.tasksLeft !== Number.POSITIVE_INFINITY) return undefined;
  let { free } = room;
  let atMs = nowMs;
  let isPlain = false;
  for (const run of runsAt(room)) {
    if (fits(need, free)) break;
    free = add(free, run.need);
    atMs = Math.max(nowMs, run.endsByMs);
    isPlain ||= fits(need, run.need);
  }
  return fits(need, free) ? { room, atMs, spare: subtract(free, need), isPlain } : undefined;
}

const bySoonestEnd = (a: Run, b: Run): number => a.endsByMs - b.endsByMs;

// A site is looked at for every class that finds no room, and by a simulation in many rounds while nothing changes there.
const sortedRuns = new WeakMap<Iterable<Run>, readonly Run[]>();

function runsAt({ view, placed }: Room): readonly Run[] {
  const { runs = [] } = view;
  const sorted = sortedRuns.get(runs) ?? [...runs].toSorted(bySoonestEnd);
  sortedRuns.set(runs, sorted);
  return placed.length === 0 ? sorted : [...sorted, ...placed].toSorted(bySoonestEnd);
}
