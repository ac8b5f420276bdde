import type { Kysely, Migration } from 'kysely';

/** The most bytes that somebody may store; null for no limit. */
export interface StoreQuotaRow {
  vo: string;
  /** A DN, '' for the VO as a whole, `*` for everybody who has no row. */
  owner: string;
  max_bytes: number | null;
}

export const STORE_QUOTAS: Migration = {
  up: async ({ schema }: Kysely<unknown>) => {
    await schema
      .createTable('store_quotas')
      .addColumn('vo', 'text', (column) => column.notNull())
      .addColumn('owner', 'text', (column) => column.notNull())
      .addColumn('max_bytes', 'bigint')
      .addPrimaryKeyConstraint('store_quotas_key', ['vo', 'owner'])
      .execute();
  },
};
