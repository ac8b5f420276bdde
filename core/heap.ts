/** Items of which the first is cheap to find. */
export interface Heap<T> {
  first(): T | undefined;
  push(item: T): void;
  /** Takes the first away. */
  pop(): T | undefined;
  /** The first may have become worse: finds it its place. */
  sink(): void;
}

/**
 * A binary heap of `items`, which it keeps. `before` may change its mind about an item only while that is the first, and
 * `sink` has to follow.
 */
export function heapOf<T>(before: (a: T, b: T) => boolean, items: T[] = []): Heap<T> {
  const sinkFrom = (start: number): void => {
    const item = items[start];
    if (item === undefined) return;
    let at = start;
    for (;;) {
      let below = 2 * at + 1;
      const left = items[below];
      if (left === undefined) break;
      let best = left;
      const right = items[below + 1];
      if (right !== undefined && before(right, left)) {
        best = right;
        below += 1;
      }
      if (!before(best, item)) break;
      items[at] = best;
      at = below;
    }
    items[at] = item;
  };
  for (let at = (items.length >> 1) - 1; at >= 0; at -= 1) sinkFrom(at);
  return {
    first: () => items[0],
    push: (item) => {
      let at = items.push(item) - 1;
      while (at > 0) {
        const above = (at - 1) >> 1;
        const parent = items[above];
        if (parent === undefined || !before(item, parent)) break;
        items[at] = parent;
        at = above;
      }
      items[at] = item;
    },
    pop: () => {
      const first = items[0];
      const last = items.pop();
      if (last !== undefined && items.length > 0) {
        items[0] = last;
        sinkFrom(0);
      }
      return first;
    },
    sink: () => sinkFrom(0),
  };
}
