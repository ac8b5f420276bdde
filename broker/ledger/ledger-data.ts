import type { Kysely, Migration } from 'kysely';

/** One version of a dataset; `expires_ms` is null for never, `removed_ms` while it has its name. */
export interface DatasetRow {
  vo: string;
  name: string;
  version: number;
  /** Digest of its tree, which stands in `trees`. */
  tree: string;
  total_bytes: number;
  files: number;
  owner: string;
  /** 1 where all members of the VO may use it. */
  shared: number;
  expires_ms: number | null;
  created_ms: number;
  removed_ms: number | null;
  /** 1 once it has been gone for so long that it keeps its tree no more. */
  released: number;
}

/** Names for trees. */
export const DATASETS: Migration = {
  up: async (db: Kysely<unknown>) => {
    await db.schema
      .createTable('datasets')
      .addColumn('vo', 'text', (column) => column.notNull())
      .addColumn('name', 'text', (column) => column.notNull())
      .addColumn('version', 'integer', (column) => column.notNull())
      .addColumn('tree', 'text', (column) => column.notNull())
      .addColumn('total_bytes', 'bigint', (column) => column.notNull())
      .addColumn('files', 'bigint', (column) => column.notNull())
      .addColumn('owner', 'text', (column) => column.notNull())
      .addColumn('shared', 'integer', (column) => column.notNull())
      .addColumn('expires_ms', 'bigint')
      .addColumn('created_ms', 'bigint', (column) => column.notNull())
      .addColumn('removed_ms', 'bigint')
      .addColumn('released', 'integer', (column) => column.notNull().defaultTo(0))
      .addPrimaryKeyConstraint('datasets_key', ['vo', 'name', 'version'])
      .execute();
  },
};
