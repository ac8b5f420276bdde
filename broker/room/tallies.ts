import { addTree, type Tally, type TreeWeight } from '../../core/data/room.ts';
import type { Clock } from '../../service/clock.ts';
import type { Scope, TreeCounter } from './count-trees.ts';

/** What is stored, with what is about to be named. */
export interface Tallies {
  /** A count that is not much older than ten seconds, or a `fresh` one, which for very many trees may be seconds old. */
  of(scope: Scope, fresh: boolean): Promise<Tally>;
  /** Counts trees that the ledger will have when what is returned is disposed of, or never. */
  hold(owner: Scope, weights: readonly TreeWeight[]): Disposable;
}

/** Results come in meanwhile: an older count is made anew. */
const COUNT_MS = 10_000;
/** Counting a hundred thousand results takes a second, in which the broker does nothing else: it gets a fiftieth of the time... */
const COUNT_PART = 50;
/** ...and a fifth where somebody is refused again and again. */
const LONG = { ms: 200, part: 5 };

interface Held {
  readonly owner: Scope;
  readonly weights: readonly TreeWeight[];
}

export function openTallies(clock: Clock, counter: Pick<TreeCounter, 'count'>): Tallies {
  const counted = new Map<
    string,
    { readonly scope: Scope; tally: Tally; atMs: number; tookMs: number }
  >();
  const held = new Set<Held>();
  return {
    of: async (scope, fresh) => {
      const key = `${scope.vo}\0${scope.owner}`;
      const known = counted.get(key);
      const nowMs = clock.monotonicMs();
      if (known !== undefined && nowMs - known.atMs < goodForMs(known.tookMs, fresh))
        return known.tally;
      // What ends while the ledger is read may be in it or not.
      const underway = [...held].filter(({ owner }) => covers(scope, owner));
      const tally = await counter.count(scope);
      for (const { weights } of underway) for (const weight of weights) addTree(tally, weight);
      const tookMs = clock.monotonicMs() - nowMs;
      counted.set(key, { scope, tally, atMs: nowMs + tookMs, tookMs });
      return tally;
    },
    hold: (owner, weights) => {
      const made = { owner, weights };
      held.add(made);
      for (const { scope, tally } of counted.values())
        if (covers(scope, owner)) for (const weight of weights) addTree(tally, weight);
      return { [Symbol.dispose]: () => void held.delete(made) };
    },
  };
}

/** How long a count that took so long is good. */
function goodForMs(tookMs: number, fresh: boolean): number {
  if (!fresh) return Math.max(COUNT_MS, COUNT_PART * tookMs);
  return tookMs < LONG.ms ? 0 : LONG.part * tookMs;
}

const covers = (scope: Scope, { vo, owner }: Scope): boolean =>
  scope.vo === vo && (scope.owner === '' || scope.owner === owner);
