/**
 * Ids of ended jobs and flows that some work under way has read and is about to name. They stay in the ledger meanwhile:
 * work holds them before it reads, until what it writes is on the disk.
 */
export interface Holds {
  hold(ids: Iterable<string>): Disposable;
  has(id: string): boolean;
}

export function openHolds(): Holds {
  const counts = new Map<string, number>();
  const change = (id: string, by: 1 | -1): void => {
    const count = (counts.get(id) ?? 0) + by;
    if (count === 0) counts.delete(id);
    else counts.set(id, count);
  };
  return {
    has: (id) => counts.has(id),
    hold: (ids) => {
      const held = [...ids];
      for (const id of held) change(id, 1);
      return {
        [Symbol.dispose]: () => {
          for (const id of held) change(id, -1);
        },
      };
    },
  };
}
