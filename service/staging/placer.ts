import { openByteBudget } from './byte-budget.ts';

/** Takes things from the cache to where they are wanted, some at a time, while others still come. */
export interface Placer<T> {
  add(item: T): void;
  /** Those that the cache had lost, when all have been tried. Throws what one of them failed with; nothing new is begun then. */
  lost(): Promise<readonly T[]>;
}

const AT_ONCE = 32;

/** `place` says whether the cache had it. */
export function openPlacer<T>(place: (item: T) => Promise<boolean>): Placer<T> {
  const turns = openByteBudget(() => AT_ONCE);
  const placing: Promise<void>[] = [];
  const lost: T[] = [];
  let failure: { readonly error: unknown } | undefined;
  const placeOne = async (item: T): Promise<void> => {
    await turns.take(1);
    try {
      if (failure === undefined && !(await place(item))) lost.push(item);
    } catch (error) {
      failure ??= { error };
    } finally {
      turns.give(1);
    }
  };
  return {
    add: (item) => void placing.push(placeOne(item)),
    lost: async () => {
      await Promise.all(placing);
      if (failure !== undefined) throw failure.error;
      return lost;
    },
  };
}
