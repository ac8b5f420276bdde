import type { SiteId } from '../ids.ts';
import type { Ask } from './ask.ts';
import { needOf } from './need.ts';
import { openingAt } from './reservation.ts';
import type { Room } from './room.ts';
import type { Hearing, Standards } from './verdicts.ts';

/** When a task could start, by the walltimes of what runs. */
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
    const opening = isFull && (reserved || isOpenToAll(room)) ? openingAt(room, demand) : undefined;
    return opening === undefined ? [] : [{ site: room.view.id, byMs: opening.atMs, reserved }];
  });
  return starts.toSorted((a, b) => Number(b.reserved) - Number(a.reserved) || a.byMs - b.byMs)[0];
}

/** Whether what ends there is not spoken for. */
const isOpenToAll = ({ hold, view }: Room): boolean => hold === undefined && view.waiting === 0;
