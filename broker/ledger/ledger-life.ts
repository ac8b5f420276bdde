import { type Kysely, type Migration, sql } from 'kysely';

/** What a task may become over several tries: held, given more memory, retried by hand. */
export const LIFE: Migration = {
  up: async (db: Kysely<unknown>) => {
    const { schema } = db;
    await schema.alterTable('jobs').addColumn('retry_memory', 'double precision').execute();
    await schema.alterTable('jobs').addColumn('max_running', 'integer').execute();
    await schema.alterTable('job_state').addColumn('hold', 'text').execute();
    await schema.alterTable('tasks').addColumn('ask_id', 'integer').execute();
    await schema
      .alterTable('tasks')
      .addColumn('data_failures', 'integer', (column) => column.notNull().defaultTo(0))
      .execute();
    // A retry finds three failed tasks among a million without looking at the others.
    await schema
      .createIndex('tasks_unwell')
      .on('tasks')
      .columns(['job_id', 'ordinal'])
      .where(sql<boolean>`state in ('failed', 'cancelled')`)
      .execute();
  },
};
