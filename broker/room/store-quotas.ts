import type { Book } from '../book.ts';
import type { Scope } from './count-trees.ts';

/** Whoever has no limit of their own. */
export const EVERYBODY = '*';

/** A scope with a limit; `who` is for people. */
export interface Limited {
  readonly scope: Scope;
  readonly who: string;
  readonly limitBytes: number;
}

/** The limits: in memory, and in the ledger before `set` answers. */
export interface StoreQuotas {
  limitOf(scope: Scope): number | undefined;
  /** The limits that hold for an owner: its own (or that of everybody), and that of the VO. */
  limited(owner: Scope): readonly Limited[];
  /** The limits of a VO: by DN, of the VO as a whole ('') and of everybody else (`*`); undefined is none. */
  readonly limits: (vo: string) => ReadonlyMap<string, number | undefined>;
  readonly set: (scope: Scope, limitBytes: number | undefined) => Promise<void>;
}

/** Reads the quotas. */
export async function openStoreQuotas(book: Book): Promise<StoreQuotas> {
  const rows = await book.db.selectFrom('store_quotas').selectAll().execute();
  const byVo = new Map<string, Map<string, number | undefined>>();
  const ofVo = (vo: string): Map<string, number | undefined> => {
    const known = byVo.get(vo) ?? new Map<string, number | undefined>();
    byVo.set(vo, known);
    return known;
  };
  for (const { vo, owner, max_bytes } of rows) ofVo(vo).set(owner, max_bytes ?? undefined);
  const limitOf = ({ vo, owner }: Scope): number | undefined => {
    const limits = ofVo(vo);
    return owner === '' || limits.has(owner) ? limits.get(owner) : limits.get(EVERYBODY);
  };
  return {
    limitOf,
    limited: (owner) =>
      [owner, { vo: owner.vo, owner: '' }].flatMap((scope) => {
        const limitBytes = limitOf(scope);
        return limitBytes === undefined ? [] : [{ scope, who: nameOf(scope), limitBytes }];
      }),
    limits: ofVo,
    set: async ({ vo, owner }, limitBytes) => {
      ofVo(vo).set(owner, limitBytes);
      const row = { vo, owner, max_bytes: limitBytes ?? null };
      await book.recorder.record({ store_quotas: [row] });
    },
  };
}

const nameOf = ({ vo, owner }: Scope): string =>
  owner === '' ? `VO ${vo}` : `${owner} in VO ${vo}`;
