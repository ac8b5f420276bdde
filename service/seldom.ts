import type { Clock } from './clock.ts';

/** Between two looks, at least. */
const SELDOM_MS = 30_000;
/** Looking takes at most this part of the time. */
const PART = 0.01;

/** What a look found that takes long. */
interface Seldom<T> {
  /** What was found last; looks again where that is too long ago, one look at a time. */
  get(): Promise<T>;
  /** The next `get` looks again. */
  forget(): void;
}

/** Gives what `look` found last; looks again where that is too long ago, one look at a time. */
export function seldom<T>(clock: Clock, look: () => Promise<T>): Seldom<T> {
  let found: { readonly value: Promise<T>; readonly untilMs: number } | undefined;
  return {
    get: (): Promise<T> => {
      const nowMs = clock.monotonicMs();
      if (found === undefined || nowMs >= found.untilMs) {
        const value = look();
        found = { value, untilMs: Infinity };
        const settle = (): void => {
          const endMs = clock.monotonicMs();
          const waitMs = Math.max(SELDOM_MS, (endMs - nowMs) / PART);
          if (found?.value === value) found = { value, untilMs: endMs + waitMs };
        };
        value.then(settle, settle);
      }
      return found.value;
    },
    forget: (): void => {
      found = undefined;
    },
  };
}
