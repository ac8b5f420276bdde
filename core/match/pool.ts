import { heapOf } from '../heap.ts';
import type { Room } from './room.ts';

/** Sites to choose from for tasks that are alike. */
export interface Pool {
  /** The best site that can take one now. */
  best(): Room | undefined;
}

/** How tasks that are alike look at sites. */
export interface Taste {
  /** Whether a site can take one; once it cannot it never can again in the round. */
  isUsable(room: Room): boolean;
  /** What a site has to spare, the more the better; it only shrinks in the round. */
  spare(room: Room): number;
  /** Below zero where the first site is the better one whatever they have to spare. */
  compare(a: Room, b: Room): number;
}

/**
 * Since sites only get worse while a round fills them, each is looked at again only when it comes to the top: if it is
 * as good as it was then it is the best of all. What is equal goes to the lowest site id.
 */
export function openPool(rooms: readonly Room[], taste: Taste): Pool {
  const usable = rooms.filter((room) => taste.isUsable(room));
  /** What each had to spare when it was looked at last. */
  const known = Float64Array.from(usable, (room) => taste.spare(room));
  const isBetter = (a: number, b: number): boolean => {
    const [left, right] = [usable[a], usable[b]];
    const order = left && right ? taste.compare(left, right) : 0;
    if (order !== 0) return order < 0;
    const more = (known[a] ?? 0) - (known[b] ?? 0);
    return more === 0 ? a < b : more > 0;
  };
  const heap = heapOf(
    isBetter,
    usable.map((_, index) => index),
  );
  return {
    best: () => {
      for (let first = heap.first(); first !== undefined; first = heap.first()) {
        const room = usable[first];
        if (room === undefined || !taste.isUsable(room)) {
          heap.pop();
          continue;
        }
        const spare = taste.spare(room);
        if (spare === known[first]) return room;
        known[first] = spare;
        heap.sink();
      }
      return undefined;
    },
  };
}
