import type { Kysely, Migration } from 'kysely';

/** Chunks of a VO that no tree named at the last pass over its store: each takes 40 bytes. */
export interface CondemnedRow {
  vo: string;
  chunks: Uint8Array;
}

/** What sweepers remember between two runs of the broker. */
export const CONDEMNED: Migration = {
  up: async ({ schema }: Kysely<unknown>) => {
    await schema
      .createTable('condemned')
      .addColumn('vo', 'text', (column) => column.primaryKey())
      .addColumn('chunks', 'bytea', (column) => column.notNull())
      .execute();
  },
};
