import { formatDuration } from '../units.ts';
import { fits, type Need, subtract } from './need.ts';
import { noRoom } from './no-room.ts';
import { freeAt, passingRefusal, type Refusal } from './refusal.ts';
import { type Run, type SiteView } from './site-view.ts';

/** A site while a round fills it. What it has left only shrinks. */
export interface Room {
  readonly view: SiteView;
  /** Its place in the round's list of sites, which is sorted by id. */
  readonly index: number;
  /** Its place in the round's memory. */
  readonly slot: number;
  /** Whether it takes anything now. */
  readonly isOpen: boolean;
  free: Need;
  backlogLeft: number;
  /** How many tasks more it may get: one while it is on probation. */
  tasksLeft: number;
  /** What this round has placed there to start at once. */
  readonly placed: Run[];
  hold?: Hold;
}

/** Room that is kept for one ask class. */
interface Hold {
  readonly key: string;
  readonly fromMs: number;
  /** What others may have beside it for as long as they like. */
  spare: Need;
}

/** A task as a room looks at it. */
export interface Demand {
  /** Names the ask class. */
  readonly key: string;
  readonly need: Need;
  readonly nowMs: number;
  /** When it ends at the latest if it starts now. */
  readonly endsByMs: number;
}

export function openRoom(view: SiteView, index: number, slot: number): Room {
  const backlog = view.offer?.backlog ?? 0;
  return {
    view,
    index,
    slot,
    isOpen: passingRefusal(view) === undefined,
    free: freeAt(view),
    backlogLeft: Math.max(0, backlog - view.waiting),
    tasksLeft: view.quarantined === undefined ? Number.POSITIVE_INFINITY : 1,
    placed: [],
  };
}

/** Whether a task could start there at once. */
export const canStart = (room: Room, demand: Demand): boolean =>
  room.tasksLeft > 0 && fits(demand.need, room.free) && isSpared(room, demand);

/** Whether a task may go there to wait for something to end; not where room is being gathered for another. */
export const canWait = ({ tasksLeft, backlogLeft, hold }: Room, { key }: Demand): boolean =>
  tasksLeft > 0 && backlogLeft > 0 && (hold === undefined || hold.key === key);

/** Whether the room that is kept for another class stays untouched. */
const isSpared = ({ hold }: Room, { key, need, endsByMs }: Demand): boolean =>
  hold === undefined || hold.key === key || endsByMs <= hold.fromMs || fits(need, hold.spare);

/** Gives a task what it needs; says whether it has to wait there. */
export function take(room: Room, demand: Demand): boolean {
  const { need, key, endsByMs } = demand;
  const { hold } = room;
  const backlog = !canStart(room, demand);
  if (backlog) room.backlogLeft -= 1;
  else room.placed.push({ endsByMs, need });
  if (hold !== undefined && hold.key !== key && endsByMs > hold.fromMs)
    hold.spare = subtract(hold.spare, need);
  room.tasksLeft -= 1;
  room.free = subtract(room.free, need);
  return backlog;
}

/** Why a site that would do has no room for a task. */
export function roomRefusal(room: Room, demand: Demand): Refusal {
  const { view, hold, tasksLeft, free } = room;
  if (tasksLeft <= 0)
    return {
      code: 'site-quarantined',
      detail: `one task has been let in to try it: ${view.quarantined}`,
      lasting: false,
    };
  if (hold === undefined || !fits(demand.need, free) || isSpared(room, demand))
    return noRoom(demand.need, free);
  const { nowMs, endsByMs } = demand;
  const inMs = Math.max(0, hold.fromMs - nowMs);
  return {
    code: 'site-reserved',
    detail: `what is free is kept for a larger task in ${formatDuration(inMs)}, this one may run for ${formatDuration(endsByMs - nowMs)}`,
    lasting: false,
  };
}
