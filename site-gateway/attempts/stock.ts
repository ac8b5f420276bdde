import { add, fits, type Need, NO_NEED, subtract } from '../../core/match/need.ts';

/**
 * Scratch space and licences, which the site counts itself whatever its batch system does: an attempt that was taken
 * into the backlog waits here until what it asks for is there.
 */
export interface Stock {
  /** Waits until the need can be met, first come first, and gives what returns it; rejects when `signal` aborts. */
  take(need: Need, signal: AbortSignal): Promise<() => void>;
  /** Takes it even where it is not there: the task runs already. */
  force(need: Need): () => void;
}

interface Waiter {
  readonly need: Need;
  readonly go: () => void;
}

/** `total` is asked at each look; a need that alone is larger goes when nobody else has anything. */
export function openStock(total: () => Pick<Need, 'diskBytes' | 'licences'>): Stock {
  let taken = NO_NEED;
  let holders = 0;
  let waiting: readonly Waiter[] = [];
  const mayGo = (need: Need): boolean =>
    holders === 0 || fits(add(taken, need), { ...NO_NEED, ...total() });
  const look = (): void => {
    for (let [first] = waiting; first !== undefined && mayGo(first.need); [first] = waiting) {
      waiting = waiting.slice(1);
      first.go();
    }
  };
  const force = (wanted: Need): (() => void) => {
    const need = partOf(wanted);
    taken = add(taken, need);
    holders += 1;
    let isOut = true;
    return () => {
      if (!isOut) return;
      isOut = false;
      taken = subtract(taken, need);
      holders -= 1;
      look();
    };
  };
  return {
    force,
    take: async (wanted, signal) => {
      const need = partOf(wanted);
      if (isNothing(need)) return () => undefined;
      if (waiting.length === 0 && mayGo(need)) return force(need);
      return new Promise((resolve, reject) => {
        const leave = (): void => {
          waiting = waiting.filter((one) => one !== waiter);
          reject(new Error('it need not wait any more'));
          look();
        };
        const go = (): void => {
          signal.removeEventListener('abort', leave);
          resolve(force(need));
        };
        const waiter: Waiter = { need, go };
        waiting = [...waiting, waiter];
        if (signal.aborted) leave();
        else signal.addEventListener('abort', leave, { once: true });
      });
    },
  };
}

const partOf = ({ diskBytes, licences }: Need): Need => ({ ...NO_NEED, diskBytes, licences });

const isNothing = (need: Need): boolean => fits(need, NO_NEED);
