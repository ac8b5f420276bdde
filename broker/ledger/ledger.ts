import type { Kysely } from 'kysely';
import type { JobState } from '../../core/job/state.ts';
import type { RemovedResultsRow } from '../results/ledger-results.ts';
import type { StoreQuotaRow } from '../room/ledger-quotas.ts';
import type { SecretRow } from '../s3/ledger-secrets.ts';
import type { CondemnedRow } from './ledger-condemned.ts';
import type { DatasetRow } from './ledger-data.ts';
import type { HistoryRow } from './ledger-history.ts';
import type { ShareRow, UsageRow } from './ledger-shares.ts';

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
  condemned: CondemnedRow;
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
