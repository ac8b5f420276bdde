import { type Kysely, type Migration, sql } from 'kysely';

/** Flows, the place of a job in its flow, and what a job still waits for. */
export const FLOWS: Migration = {
  up: async (db: Kysely<unknown>) => {
    const { schema } = db;
    await schema
      .createTable('flows')
      .addColumn('id', 'text', (column) => column.primaryKey())
      .addColumn('seq', 'bigint', (column) => column.notNull())
      .addColumn('owner', 'text', (column) => column.notNull())
      .addColumn('vo', 'text', (column) => column.notNull())
      .addColumn('name', 'text', (column) => column.notNull())
      .addColumn('submitted_ms', 'bigint', (column) => column.notNull())
      .execute();
    await schema.createIndex('flows_owner').on('flows').columns(['owner', 'seq']).execute();
    for (const name of ['flow_id', 'flow_node'])
      await schema
        .alterTable('jobs')
        .addColumn(name, 'text', (column) => column.notNull().defaultTo(''))
        .execute();
    await schema
      .createIndex('jobs_flow')
      .on('jobs')
      .columns(['flow_id', 'seq'])
      .where(sql<boolean>`flow_id <> ''`)
      .execute();
    await schema.alterTable('job_state').addColumn('waits_for', 'text').execute();
  },
};
