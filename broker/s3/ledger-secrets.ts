import type { Kysely, Migration } from 'kysely';

/** What opens the S3 inputs of a job: a JWE that the key of the broker opens, beside the job and for as long as it is open. */
export interface SecretRow {
  job_id: string;
  sealed: string;
}

/** Secrets of jobs. */
export const SECRETS: Migration = {
  up: async (db: Kysely<unknown>) => {
    await db.schema
      .createTable('secrets')
      .addColumn('job_id', 'text', (column) => column.primaryKey())
      .addColumn('sealed', 'text', (column) => column.notNull())
      .execute();
  },
};
