import { type Kysely, type Migration, sql } from 'kysely';

/** What tasks have sent while they ran. */
export const LIVE: Migration = {
  up: async ({ schema }: Kysely<unknown>) => {
    await schema.alterTable('tasks').addColumn('live', 'text').execute();
    await schema
      .alterTable('tasks')
      .addColumn('live_tree', 'text', (column) => column.notNull().defaultTo(''))
      .execute();
    await schema
      .createIndex('tasks_live_tree')
      .on('tasks')
      .column('live_tree')
      .where(sql<boolean>`live_tree <> ''`)
      .execute();
  },
};
