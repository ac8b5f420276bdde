import { ownAccount } from '../../../service/account-name.ts';
import type { Account } from '../../accounts/account.ts';
import type { JobOwner, JobOwners } from './batch-system.ts';

/** A submission of this gateway: by this account, or by its own where it is undefined. */
export interface Submitted {
  readonly account: Account | undefined;
}

interface Submitters {
  /** Accounts that the gateway is to submit as. */
  readonly accounts: readonly Account[];
  /** Submissions by their tokens, also those of accounts that it was configured for before. */
  readonly known: ReadonlyMap<string, Submitted>;
}

/** Looks into `known` at each question. */
export function openJobOwners({ accounts, known }: Submitters): JobOwners {
  const { uid, username: name } = ownAccount();
  const self: JobOwner = { name, uid };
  return {
    all: () => {
      const earlier = [...known.values()].map(({ account }) => account ?? self);
      const all = [self, ...accounts, ...earlier];
      return [...new Map(all.map((owner) => [owner.uid, owner])).values()];
    },
    isOwn: (token, owner) => {
      const submitted = known.get(token);
      if (submitted === undefined) return true;
      const own = submitted.account ?? self;
      return owner.uid === undefined ? owner.name === own.name : owner.uid === own.uid;
    },
  };
}
