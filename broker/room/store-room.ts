/**
 * Quotas of bytes: what the trees of an owner, and those of a VO, may take in the store of the VO. Each chunk counts once,
 * however many trees have it. A tree counts for whoever owns the dataset or the job that keeps it; what is sent and
 * never named does not count, and is swept.
 *
 * A tree is claimed before it is named, one claim after the other in a VO, so two clients at once cannot both have the
 * last room. Results are never refused, since a computation would be lost: they count, and the next tree is refused. Those
 * without any limit are not counted at all.
 */
import type { TreeRef } from '../../core/data/manifest.ts';
import { newBytes, roomRefusal, type TreeWeight } from '../../core/data/room.ts';
import { GridError } from '../../core/errors.ts';
import type { Book } from '../book.ts';
import { openTurns } from '../turns.ts';
import type { Scope, TreeCounter } from './count-trees.ts';
import { type Limited, openStoreQuotas, type StoreQuotas } from './store-quotas.ts';
import { openTallies, type Tallies } from './tallies.ts';

/** What somebody has and may have; without a limit `limitBytes` is undefined. */
interface StoreUse {
  readonly usedBytes: number;
  readonly limitBytes: number | undefined;
}

/** See `StoreRoom`. */
export type ClaimRoom = (owner: Scope, trees: readonly TreeRef[]) => Promise<Disposable>;

export interface StoreRoom {
  /** Trees that are about to be named; hold it until the ledger has them. Throws STORE_QUOTA. */
  readonly claim: ClaimRoom;
  /** The same for new jobs, which are refused without any tree, too, while more is stored than may be. */
  readonly claimForJobs: ClaimRoom;
  /** Throws STORE_QUOTA where so many bytes more, and these chunks as far as they are new, would be too much; gives the new bytes. */
  ask(owner: Scope, bytes: number, chunks: TreeWeight): Promise<number>;
  /** What is stored now. */
  use(scope: Scope): Promise<StoreUse>;
  /** Those who store most in a VO. */
  readonly owners: TreeCounter['owners'];
  readonly limits: StoreQuotas['limits'];
  readonly set: StoreQuotas['set'];
}

/** A broker without a staging service has nothing to count. */
export const NO_ROOM: Pick<StoreRoom, 'claim' | 'claimForJobs'> = {
  claim: () => Promise.resolve(UNCLAIMED),
  claimForJobs: () => Promise.resolve(UNCLAIMED),
};
const UNCLAIMED: Disposable = { [Symbol.dispose]: () => undefined };

/** Reads the quotas. */
export async function openStoreRoom(book: Book, counter: TreeCounter): Promise<StoreRoom> {
  const quotas = await openStoreQuotas(book);
  const tallies = openTallies(book.clock, counter);
  const inTurn = openTurns();
  const ask = async (owner: Scope, wish: Wish): Promise<number> => {
    let most = 0;
    for (const limited of quotas.limited(owner))
      most = Math.max(most, await checkOne(tallies, limited, wish));
    return most;
  };
  const claim = async (
    owner: Scope,
    trees: readonly TreeRef[],
    forJobs: boolean,
  ): Promise<Disposable> => {
    if (quotas.limited(owner).length === 0) return UNCLAIMED;
    const weights = await Promise.all(trees.map((tree) => counter.weight(owner.vo, tree)));
    return inTurn(owner.vo, async () => {
      await ask(owner, { bytes: 0, weights, forJobs });
      return tallies.hold(owner, weights);
    });
  };
  return {
    claim: (owner, trees) => claim(owner, trees, false),
    claimForJobs: (owner, trees) => claim(owner, trees, true),
    ask: (owner, bytes, chunks) =>
      inTurn(owner.vo, () => ask(owner, { bytes, weights: [chunks], forJobs: false })),
    use: (scope) =>
      inTurn(scope.vo, async () => ({
        usedBytes: (await counter.count(scope)).bytes,
        limitBytes: quotas.limitOf(scope),
      })),
    owners: (vo, most) => counter.owners(vo, most),
    limits: quotas.limits,
    set: quotas.set,
  };
}

/** What is to be added. */
interface Wish {
  readonly bytes: number;
  /** Counted only as far as it is new. */
  readonly weights: readonly TreeWeight[];
  /** Above the limit not even nothing may be added. */
  readonly forJobs: boolean;
}

/** Throws STORE_QUOTA, after a count that is fresh; gives the bytes of `weights` that are new. */
async function checkOne(
  tallies: Tallies,
  { scope, who, limitBytes }: Limited,
  { bytes, weights, forJobs }: Wish,
): Promise<number> {
  for (const fresh of [false, true]) {
    const tally = await tallies.of(scope, fresh);
    const more = newBytes(tally, weights);
    const wantedBytes = bytes + more;
    const room = { who, usedBytes: tally.bytes, wantedBytes, limitBytes };
    const refusal = wantedBytes === 0 && !forJobs ? undefined : roomRefusal(room);
    if (refusal === undefined) return more;
    if (fresh) throw new GridError('STORE_QUOTA', refusal);
  }
  return 0;
}
