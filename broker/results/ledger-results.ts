import type { Kysely, Migration } from 'kysely';

/** Who let go of the results of a job that is still in the ledger, and when. */
export interface RemovedResultsRow {
  job_id: string;
  by: string;
  at_ms: number;
}

export const REMOVED_RESULTS: Migration = {
  up: async (db: Kysely<unknown>) => {
    await db.schema
      .createTable('removed_results')
      .addColumn('job_id', 'text', (column) => column.primaryKey())
      .addColumn('by', 'text', (column) => column.notNull())
      .addColumn('at_ms', 'bigint', (column) => column.notNull())
      .execute();
  },
};
