import { needOf } from '../../core/match/need.ts';
import { type Attempt, provide } from './attempt.ts';
import type { Stock } from './stock.ts';

/** The tasks that an earlier run left, taken up together. */
export interface TakeUp {
  /** Called once, before the first of them. */
  expect(count: number): void;
  /** Resolves when all that were expected are known. */
  readonly whole: Promise<void>;
  /**
   * Whether the batch system has this one, which then has its part of the stock. Resolves when all that were expected
   * are known: what runs comes before anything that waits.
   */
  one(attempt: Attempt, adoption: Promise<boolean>, stock: Stock): Promise<boolean>;
}

export function openTakeUp(): TakeUp {
  const done = Promise.withResolvers<void>();
  let left = 0;
  return {
    whole: done.promise,
    expect: (count) => {
      left = count;
      if (left === 0) done.resolve();
    },
    one: async (attempt, adoption, stock) => {
      try {
        const adopted = await adoption;
        if (adopted) provide(attempt, stock.force(needOf(attempt.spec.resources)));
        return adopted;
      } finally {
        left -= 1;
        if (left === 0) done.resolve();
        await done.promise;
      }
    },
  };
}
