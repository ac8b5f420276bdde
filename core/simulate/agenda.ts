import { heapOf } from '../heap.ts';

/** What happens when, the earliest first; what happens at the same instant in the order in which it was put in. */
export interface Agenda<T> {
  add(atMs: number, what: T): void;
  /** The earliest instant; Infinity when nothing is left. */
  nextMs(): number;
  take(): T | undefined;
}

interface Entry<T> {
  readonly atMs: number;
  readonly order: number;
  readonly what: T;
}

export function openAgenda<T>(): Agenda<T> {
  const heap = heapOf<Entry<T>>(
    (a, b) => a.atMs < b.atMs || (a.atMs === b.atMs && a.order < b.order),
  );
  let order = 0;
  return {
    add: (atMs, what) => {
      heap.push({ atMs, order, what });
      order += 1;
    },
    nextMs: () => heap.first()?.atMs ?? Number.POSITIVE_INFINITY,
    take: () => heap.pop()?.what,
  };
}
