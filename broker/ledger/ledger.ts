import { type Kysely, type Migration, sql } from 'kysely';
import type { JobState } from '../../core/job/state.ts';
import { REMOVED_RESULTS, type RemovedResultsRow } from '../results/ledger-results.ts';
import { STORE_QUOTAS, type StoreQuotaRow } from '../room/ledger-quotas.ts';
import { SECRETS, type SecretRow } from '../s3/ledger-secrets.ts';
import { ASKS } from './ledger-asks.ts';
import { DATASETS, type DatasetRow } from './ledger-data.ts';
import { FLOWS } from './ledger-flows.ts';
import { HISTORY, type HistoryRow } from './ledger-history.ts';
import { LIFE } from './ledger-life.ts';
import { LIVE } from './ledger-live.ts';
import { SHARES, type ShareRow, type UsageRow } from './ledger-shares.ts';

/**
 * The ledger: all that the broker must not lose. Columns that end in `_ms` are wall-clock times, null for `not yet`; texts
 * named `fqans`, `counts`, `sites`, `avoid`, `after`, `waits_for`, `job_ids`, `outcome`, `spec`, `hold`, `conduct` and `ask` hold JSON. What of
 * a job never changes is in `jobs`, what does is in `job_state`; an array is one row in each, and a task gets its row
 * when it is first placed. It lies in SQLite or in PostgreSQL: types of columns are names that both know, in the sense of
 * PostgreSQL (SQLite keeps whatever it is given).
 */
export interface LedgerSchema {
  /** `epoch`: how often this ledger has been opened by a broker. */
  meta: { key: string; value: string };
  asks: { id: number; ask: string };
  /** Trees of files that jobs brought and made; `manifest` only where it is small. */
  trees: { digest: string; total_bytes: number; files: number; manifest: Uint8Array | null };
  flows: FlowRow;
  submits: { owner: string; submit_key: string; hash: string; job_ids: string; at_ms: number };
  jobs: JobRow;
  job_state: JobStateRow;
  tasks: TaskRow;
  attempts: AttemptRow;
  events: EventRow;
  sites: SiteRow;
  /** How far the outbox of a site's journal has been applied. */
  cursors: { site: string; journal: string; seq: number };
  usage: UsageRow;
  shares: ShareRow;
  datasets: DatasetRow;
  history: HistoryRow;
  secrets: SecretRow;
  store_quotas: StoreQuotaRow;
  removed_results: RemovedResultsRow;
}

export interface JobRow {
  id: string;
  /** Rises with each job. */
  seq: number;
  owner: string;
  fqans: string;
  vo: string;
  name: string;
  spec: string;
  /** Digest of the input tree, '' for none. */
  inputs: string;
  ask_id: number;
  tasks: number;
  after: string;
  retries: number;
  /** 1 where `on-lost` is `keep`. */
  keep: number;
  /** Factor by which memory grows; null for never. */
  retry_memory: number | null;
  /** The most tasks at sites at a time; null for no limit. */
  max_running: number | null;
  /** '' for a job that is in no flow. */
  flow_id: string;
  /** Its name in the flow. */
  flow_node: string;
  submitted_ms: number;
}

/** What its jobs do not say of a flow; its nodes are the last jobs of their names. */
export interface FlowRow {
  id: string;
  /** That of its first job. */
  seq: number;
  owner: string;
  vo: string;
  name: string;
  submitted_ms: number;
}

export interface JobStateRow {
  job_id: string;
  state: JobState;
  reason: string;
  detail: string;
  /** Tasks from here on have not come into being. */
  next_ordinal: number;
  counts: string;
  sites: string;
  /** Why the job is held, with detail; null while it is not. */
  hold: string | null;
  /** Why the job is being cancelled; null while nobody asked for it. */
  cancel_reason: string | null;
  ended_ms: number | null;
  /** Jobs of `after` that have not been settled; null in rows from before there was this column. */
  waits_for: string | null;
}

export interface TaskRow {
  job_id: string;
  ordinal: number;
  state: JobState;
  reason: string;
  detail: string;
  /** The last attempt. */
  attempt_id: string;
  attempts: number;
  job_failures: number;
  site_failures: number;
  data_failures: number;
  releases: number;
  avoid: string;
  not_before_ms: number;
  /** Its own ask class, where it is not the job's. */
  ask_id: number | null;
  ended_ms: number | null;
  /** What there is of its live outputs, JSON; null for nothing. */
  live: string | null;
  /** Digest of their tree, '' for none; it stands in `live`, too. */
  live_tree: string;
}

export interface AttemptRow {
  id: string;
  job_id: string;
  ordinal: number;
  number: number;
  site: string;
  /** A task's state, or `released` once the broker has let go of it. */
  state: JobState | 'released';
  reason: string;
  detail: string;
  placed_ms: number;
  started_ms: number | null;
  ended_ms: number | null;
  outcome: string | null;
  /** Digest of the tree of outputs, '' for none; it stands in `outcome`, too. */
  outputs: string;
}

export interface EventRow {
  seq: number;
  at_ms: number;
  job_id: string;
  /** -1 for the whole job. */
  ordinal: number;
  attempt_id: string;
  kind: string;
  state: JobState;
  site: string;
  reason: string;
  detail: string;
}

export interface SiteRow {
  id: string;
  address: string;
  dn: string;
  wanted: 'up' | 'draining';
  enrolled_ms: number;
  enrolled_by: string;
  /** How it has done since it last did well; null for well. */
  conduct: string | null;
}

export type LedgerDb = Kysely<LedgerSchema>;

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

/** Run once each, in the order of their names. */
const CONDUCT: Migration = {
  up: async ({ schema }: Kysely<unknown>) => {
    await schema.alterTable('sites').addColumn('conduct', 'text').execute();
  },
};

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
};
