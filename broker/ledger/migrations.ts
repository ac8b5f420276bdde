import { type Kysely, type Migration, sql } from 'kysely';
import { REMOVED_RESULTS } from '../results/ledger-results.ts';
import { STORE_QUOTAS } from '../room/ledger-quotas.ts';
import { SECRETS } from '../s3/ledger-secrets.ts';
import { ASKS } from './ledger-asks.ts';
import { CONDEMNED } from './ledger-condemned.ts';
import { DATASETS } from './ledger-data.ts';
import { FLOWS } from './ledger-flows.ts';
import { HISTORY } from './ledger-history.ts';
import { LIFE } from './ledger-life.ts';
import { LIVE } from './ledger-live.ts';
import { SHARES } from './ledger-shares.ts';

const FIRST: Migration = {
  up: async (db: Kysely<unknown>) => {
    await makeSmallTables(db);
    await makeJobs(db);
    await makeTasks(db);
    const { schema } = db;
    await schema.createIndex('jobs_owner').on('jobs').columns(['owner', 'seq']).execute();
    await schema.createIndex('jobs_vo').on('jobs').columns(['vo', 'seq']).execute();
    const open = sql<boolean>`ended_ms is null`;
    await schema
      .createIndex('job_state_open')
      .on('job_state')
      .column('job_id')
      .where(open)
      .execute();
    await schema.createIndex('tasks_open').on('tasks').column('job_id').where(open).execute();
    await schema
      .createIndex('attempts_task')
      .on('attempts')
      .columns(['job_id', 'ordinal'])
      .execute();
    await schema.createIndex('events_job').on('events').columns(['job_id', 'seq']).execute();
  },
};

async function makeSmallTables(db: Kysely<unknown>): Promise<void> {
  const { schema } = db;
  await schema
    .createTable('meta')
    .addColumn('key', 'text', (column) => column.primaryKey())
    .addColumn('value', 'text', (column) => column.notNull())
    .execute();
  await schema
    .createTable('asks')
    .addColumn('id', 'integer', (column) => column.primaryKey())
    .addColumn('ask', 'text', (column) => column.notNull())
    .execute();
  await schema
    .createTable('trees')
    .addColumn('digest', 'text', (column) => column.primaryKey())
    .addColumn('total_bytes', 'bigint', (column) => column.notNull())
    .addColumn('files', 'bigint', (column) => column.notNull())
    .addColumn('manifest', 'bytea')
    .execute();
  await schema
    .createTable('submits')
    .addColumn('owner', 'text', (column) => column.notNull())
    .addColumn('submit_key', 'text', (column) => column.notNull())
    .addColumn('hash', 'text', (column) => column.notNull())
    .addColumn('job_ids', 'text', (column) => column.notNull())
    .addColumn('at_ms', 'bigint', (column) => column.notNull())
    .addPrimaryKeyConstraint('submits_key', ['owner', 'submit_key'])
    .execute();
  await schema
    .createTable('sites')
    .addColumn('id', 'text', (column) => column.primaryKey())
    .addColumn('address', 'text', (column) => column.notNull())
    .addColumn('dn', 'text', (column) => column.notNull())
    .addColumn('wanted', 'text', (column) => column.notNull())
    .addColumn('enrolled_ms', 'bigint', (column) => column.notNull())
    .addColumn('enrolled_by', 'text', (column) => column.notNull())
    .execute();
  await schema
    .createTable('cursors')
    .addColumn('site', 'text', (column) => column.primaryKey())
    .addColumn('journal', 'text', (column) => column.notNull())
    .addColumn('seq', 'bigint', (column) => column.notNull())
    .execute();
}

async function makeJobs(db: Kysely<unknown>): Promise<void> {
  await db.schema
    .createTable('jobs')
    .addColumn('id', 'text', (column) => column.primaryKey())
    .addColumn('seq', 'bigint', (column) => column.notNull().unique())
    .addColumn('owner', 'text', (column) => column.notNull())
    .addColumn('fqans', 'text', (column) => column.notNull())
    .addColumn('vo', 'text', (column) => column.notNull())
    .addColumn('name', 'text', (column) => column.notNull())
    .addColumn('spec', 'text', (column) => column.notNull())
    .addColumn('inputs', 'text', (column) => column.notNull())
    .addColumn('ask_id', 'integer', (column) => column.notNull())
    .addColumn('tasks', 'integer', (column) => column.notNull())
    .addColumn('after', 'text', (column) => column.notNull())
    .addColumn('retries', 'integer', (column) => column.notNull())
    .addColumn('keep', 'integer', (column) => column.notNull())
    .addColumn('submitted_ms', 'bigint', (column) => column.notNull())
    .execute();
  await db.schema
    .createTable('job_state')
    .addColumn('job_id', 'text', (column) => column.primaryKey())
    .addColumn('state', 'text', (column) => column.notNull())
    .addColumn('reason', 'text', (column) => column.notNull())
    .addColumn('detail', 'text', (column) => column.notNull())
    .addColumn('next_ordinal', 'integer', (column) => column.notNull())
    .addColumn('counts', 'text', (column) => column.notNull())
    .addColumn('sites', 'text', (column) => column.notNull())
    .addColumn('cancel_reason', 'text')
    .addColumn('ended_ms', 'bigint')
    .execute();
}

async function makeTasks(db: Kysely<unknown>): Promise<void> {
  await db.schema
    .createTable('tasks')
    .addColumn('job_id', 'text', (column) => column.notNull())
    .addColumn('ordinal', 'integer', (column) => column.notNull())
    .addColumn('state', 'text', (column) => column.notNull())
    .addColumn('reason', 'text', (column) => column.notNull())
    .addColumn('detail', 'text', (column) => column.notNull())
    .addColumn('attempt_id', 'text', (column) => column.notNull())
    .addColumn('attempts', 'integer', (column) => column.notNull())
    .addColumn('job_failures', 'integer', (column) => column.notNull())
    .addColumn('site_failures', 'integer', (column) => column.notNull())
    .addColumn('releases', 'integer', (column) => column.notNull())
    .addColumn('avoid', 'text', (column) => column.notNull())
    .addColumn('not_before_ms', 'bigint', (column) => column.notNull())
    .addColumn('ended_ms', 'bigint')
    .addPrimaryKeyConstraint('tasks_key', ['job_id', 'ordinal'])
    .execute();
  await db.schema
    .createTable('attempts')
    .addColumn('id', 'text', (column) => column.primaryKey())
    .addColumn('job_id', 'text', (column) => column.notNull())
    .addColumn('ordinal', 'integer', (column) => column.notNull())
    .addColumn('number', 'integer', (column) => column.notNull())
    .addColumn('site', 'text', (column) => column.notNull())
    .addColumn('state', 'text', (column) => column.notNull())
    .addColumn('reason', 'text', (column) => column.notNull())
    .addColumn('detail', 'text', (column) => column.notNull())
    .addColumn('placed_ms', 'bigint', (column) => column.notNull())
    .addColumn('started_ms', 'bigint')
    .addColumn('ended_ms', 'bigint')
    .addColumn('outcome', 'text')
    .execute();
  await db.schema
    .createTable('events')
    .addColumn('seq', 'bigint', (column) => column.primaryKey())
    .addColumn('at_ms', 'bigint', (column) => column.notNull())
    .addColumn('job_id', 'text', (column) => column.notNull())
    .addColumn('ordinal', 'integer', (column) => column.notNull())
    .addColumn('attempt_id', 'text', (column) => column.notNull())
    .addColumn('kind', 'text', (column) => column.notNull())
    .addColumn('state', 'text', (column) => column.notNull())
    .addColumn('site', 'text', (column) => column.notNull())
    .addColumn('reason', 'text', (column) => column.notNull())
    .addColumn('detail', 'text', (column) => column.notNull())
    .execute();
}

const CONDUCT: Migration = {
  up: async ({ schema }: Kysely<unknown>) => {
    await schema.alterTable('sites').addColumn('conduct', 'text').execute();
  },
};

/** Run once each, in the order of their names. */
export const MIGRATIONS: Readonly<Record<string, Migration>> = {
  '001-first': FIRST,
  '002-data': DATASETS,
  '002-flow': FLOWS,
  '002-life': LIFE,
  '002-shares': SHARES,
  '003-history': HISTORY,
  '004-conduct': CONDUCT,
  '004-secrets': SECRETS,
  '005-store-quotas': STORE_QUOTAS,
  '006-live': LIVE,
  '007-removed-results': REMOVED_RESULTS,
  '008-asks': ASKS,
  '009-condemned': CONDEMNED,
};
