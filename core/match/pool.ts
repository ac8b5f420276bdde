import { heapOf } from '../heap.ts';
import type { Room } from './room.ts';

/** Sites to choose from. */
export interface Pool {
  /** The best site that can take a task now. */
  best(): Room | undefined;
  /** The best that `suits`; 'unclear' when the best `patience` sites do not. */
  bestOf(suits: (room: Room) => boolean, patience: number): Room | undefined | 'unclear';
}

/** How tasks look at sites. */
export interface Taste {
  /** Whether a site can take one; once it cannot it never can again in the round. */
  isUsable(room: Room): boolean;
  /** What decides between two sites whatever they have to spare: the higher, the first number first. */
  merits(room: Room): readonly [number, number, number];
  /** What a site has to spare, the more the better; it only shrinks in the round. */
  spare(room: Room): number;
}

/** Numbers by which a site is compared: its merits, and what it had to spare when it was looked at last. */
const WIDTH = 4;

/**
 * Since sites only get worse while a round fills them, each is looked at again only when it comes to the top: if it is
 * as good as it was then it is the best of all. What is equal goes to the first of `rooms`.
 */
export function openPool(rooms: readonly Room[], taste: Taste): Pool {
  const usable = rooms.filter((room) => taste.isUsable(room));
  const values = new Float64Array(WIDTH * usable.length);
  for (const [index, room] of usable.entries())
    values.set([...taste.merits(room), taste.spare(room)], WIDTH * index);
  const isBetter = (a: number, b: number): boolean => {
    for (let at = 0; at < WIDTH; at += 1) {
      const mine = values[WIDTH * a + at] ?? 0;
      const other = values[WIDTH * b + at] ?? 0;
      if (mine !== other) return mine > other;
    }
    return a < b;
  };
  const heap = heapOf(
    isBetter,
    usable.map((_, index) => index),
  );
  const first = (): number | undefined => {
    for (let index = heap.first(); index !== undefined; index = heap.first()) {
      const room = usable[index];
      if (room === undefined || !taste.isUsable(room)) {
        heap.pop();
        continue;
      }
      const spare = taste.spare(room);
      if (spare === values[WIDTH * index + 3]) return index;
      values[WIDTH * index + 3] = spare;
      heap.sink();
    }
    return undefined;
  };
  return {
    best: () => usable[first() ?? -1],
    bestOf: (suits, patience) => {
      const passedOver: number[] = [];
      let found: Room | undefined | 'unclear';
      for (let index = first(); index !== undefined && found === undefined; index = first()) {
        const room = usable[index];
        if (room !== undefined && suits(room)) found = room;
        else if (passedOver.length >= patience) found = 'unclear';
        else passedOver.push(heap.pop() ?? index);
      }
      for (const index of passedOver) heap.push(index);
      return found;
    },
  };
}
