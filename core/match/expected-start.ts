import { heapOf } from '../heap.ts';
import type { SiteId } from '../ids.ts';
import type { Ask } from './ask.ts';
import { add, fits, type Need, needOf, subtract } from './need.ts';
import type { Demand, Room } from './room.ts';
import type { Run } from './site-view.ts';
import type { Hearing, Standards } from './verdicts.ts';

/** When a task could start, by the walltimes of what runs and of what its sites have in their backlogs. */
export interface ExpectedStart {
  readonly site: SiteId;
  /** At the latest, if nothing that is ahead takes the room. */
  readonly byMs: number;
  /** Whether the room is kept for its class. */
  readonly reserved: boolean;
}

/** Where there is room first for an ask that waits for it; undefined where what is known to run tells nothing. */
export function expectedStart(
  ask: Ask,
  { rooms, judge }: Hearing,
  { key = '', nowMs = 0 }: Standards,
): ExpectedStart | undefined {
  const verdict = judge(ask);
  const demand = { need: needOf(ask.resources), nowMs };
  const starts = rooms.flatMap((room) => {
    const code = verdict(room).refusal?.code;
    const isFull = code === 'no-free-slots' || code === 'site-reserved';
    const reserved = room.hold?.key === key;
    const byMs = isFull && (reserved || room.hold === undefined) ? freeBy(room, demand) : undefined;
    return byMs === undefined ? [] : [{ site: room.view.id, byMs, reserved }];
  });
  return starts.toSorted((a, b) => Number(b.reserved) - Number(a.reserved) || a.byMs - b.byMs)[0];
}

/** When there is room at a site: tasks end by their walltimes, and those of its backlog start first. */
function freeBy(room: Room, { need, nowMs }: Pick<Demand, 'need' | 'nowMs'>): number | undefined {
  const { runs = [], backlogged, waiting } = room.view;
  if (!takesMany(room) || (waiting > 0 && backlogged === undefined)) return undefined;
  const ends = heapOf<Run>((a, b) => a.endsByMs < b.endsByMs, [...runs]);
  let { free } = room;
  let atMs = nowMs;
  const waitFor = (wanted: Need): boolean => {
    while (!fits(wanted, free)) {
      const run = ends.pop();
      if (run === undefined) return false;
      free = add(free, run.need);
      atMs = Math.max(atMs, run.endsByMs);
    }
    return true;
  };
  for (const { need: wanted, walltimeMs } of backlogged ?? []) {
    if (!waitFor(wanted)) return undefined;
    free = subtract(free, wanted);
    ends.push({ need: wanted, endsByMs: atMs + walltimeMs });
  }
  return waitFor(need) ? atMs : undefined;
}

/** Nothing is foretold of a site on probation. */
const takesMany = ({ tasksLeft }: Room): boolean => tasksLeft === Number.POSITIVE_INFINITY;
