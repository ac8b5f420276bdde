import { type Kysely, type Migration, sql } from 'kysely';

/** Finds out whether anything refers to an ask class. */
export const ASKS: Migration = {
  up: async ({ schema }: Kysely<unknown>) => {
    await schema.createIndex('jobs_ask').on('jobs').column('ask_id').execute();
    await schema
      .createIndex('tasks_ask')
      .on('tasks')
      .column('ask_id')
      .where(sql<boolean>`ask_id is not null`)
      .execute();
  },
};
