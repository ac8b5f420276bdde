import { attemptId, dn, type JobId, jobId, type SiteId, siteId, voName } from '../core/ids.ts';
import type { JobState } from '../core/job/state.ts';
import { needOf } from '../core/match/need.ts';
import { openShareTree, type ShareSettings } from '../core/share/share-tree.ts';
import { openAskClasses } from './ask-classes.ts';
import { type JobTable, openJobTable } from './job-table.ts';
import type { AttemptRow, JobRow, JobStateRow, LedgerDb, TaskRow } from './ledger.ts';
import { loadShares } from './ledger-shares.ts';
import {
  type AttemptRecord,
  classOf,
  type JobRecord,
  parseOutcome,
  type TaskRecord,
  type Why,
} from './records.ts';

/** What the ledger says when the broker starts. */
export interface Loaded {
  readonly table: JobTable;
  readonly lastEvent: number;
  readonly lastSeq: number;
  readonly lastJobId: string;
}

/** Reads all that has not ended, and what has been used before `nowMs`. */
export async function loadTable(
  db: LedgerDb,
  nowMs: number,
  settings?: ShareSettings,
): Promise<Loaded> {
  const asks = await db.selectFrom('asks').selectAll().execute();
  const shares = openShareTree(settings);
  await loadShares(db, shares, nowMs);
  const table = openJobTable(shares, openAskClasses(asks, shares));
  await loadJobs(db, table);
  await loadTasks(db, table, nowMs);
  for (const job of table.jobs.values()) if (job.waitsFor.size === 0) table.queues.addJob(job);
  const last = await db
    .selectFrom('jobs')
    .select(['seq', 'id'])
    .orderBy('seq', 'desc')
    .limit(1)
    .executeTakeFirst();
  const event = await db
    .selectFrom('events')
    .select(({ fn }) => fn.max('seq').as('seq'))
    .executeTakeFirst();
  return {
    table,
    lastEvent: event?.seq ?? 0,
    lastSeq: last?.seq ?? 0,
    lastJobId: last?.id ?? '',
  };
}

async function loadJobs(db: LedgerDb, table: JobTable): Promise<void> {
  const rows = await db
    .selectFrom('job_state')
    .innerJoin('jobs', 'jobs.id', 'job_state.job_id')
    .select(['job_id', 'state', 'reason', 'detail', 'next_ordinal', 'counts', 'sites'])
    .select(['cancel_reason', 'ended_ms', 'seq', 'owner', 'vo', 'inputs', 'ask_id', 'tasks'])
    .select(['after', 'retries', 'retry_memory', 'max_running', 'keep', 'submitted_ms', 'hold'])
    .where('ended_ms', 'is', null)
    .orderBy('seq')
    .execute();
  const open = new Set(rows.map((row) => row.job_id));
  for (const row of rows) table.addJob(jobRecord(table, row, (id) => open.has(id)));
}

type StoredState = JobStateRow & Omit<JobRow, 'id' | 'fqans' | 'name' | 'spec'>;

function jobRecord(table: JobTable, row: StoredState, isOpen: (id: JobId) => boolean): JobRecord {
  const after = (JSON.parse(row.after) as string[]).map(jobId);
  return {
    id: jobId(row.job_id),
    seq: row.seq,
    owner: dn(row.owner),
    vo: voName(row.vo),
    ...table.asks.get(row.ask_id),
    tasks: row.tasks,
    inputs: row.inputs,
    after,
    retries: row.retries,
    ...(row.retry_memory === null ? {} : { retryMemory: row.retry_memory }),
    ...(row.max_running === null ? {} : { maxRunning: row.max_running }),
    onLost: row.keep === 1 ? 'keep' : 'release',
    submittedAtMs: row.submitted_ms,
    nextOrdinal: row.next_ordinal,
    counts: JSON.parse(row.counts) as Partial<Record<JobState, number>>,
    sites: new Set((JSON.parse(row.sites) as string[]).map(siteId)),
    ...(row.hold === null ? {} : { hold: JSON.parse(row.hold) as Why }),
    ...(row.cancel_reason === null ? {} : { cancelReason: row.cancel_reason }),
    reason: row.reason,
    detail: row.detail,
    // What a job waits for is settled in the transaction that ends it, so whatever has ended has ended well.
    waitsFor: new Set<JobId>(after.filter(isOpen)),
    open: new Map(),
  };
}

async function loadTasks(db: LedgerDb, table: JobTable, nowMs: number): Promise<void> {
  const tasks = await db.selectFrom('tasks').selectAll().where('ended_ms', 'is', null).execute();
  const attempts = await db
    .selectFrom('attempts')
    .innerJoin('tasks', (join) =>
      join
        .onRef('tasks.job_id', '=', 'attempts.job_id')
        .onRef('tasks.ordinal', '=', 'attempts.ordinal'),
    )
    .selectAll('attempts')
    .where('tasks.ended_ms', 'is', null)
    .execute();
  const byTask = Map.groupBy(attempts, (row) => `${row.job_id}.${row.ordinal}`);
  for (const row of tasks) {
    const job = table.jobs.get(jobId(row.job_id));
    if (job === undefined) continue;
    const task = taskRecord(table, job, row);
    job.open.set(task.ordinal, task);
    for (const attempt of byTask.get(`${row.job_id}.${row.ordinal}`) ?? [])
      addAttempt(table, task, row, attempt, nowMs);
    if (task.state === 'queued') table.queues.addTask(task);
  }
}

function taskRecord(table: JobTable, job: JobRecord, row: TaskRow): TaskRecord {
  return {
    job,
    ordinal: row.ordinal,
    state: row.state,
    reason: row.reason,
    detail: row.detail,
    attempts: row.attempts,
    failures: {
      job: row.job_failures,
      site: row.site_failures,
      data: row.data_failures,
      releases: row.releases,
    },
    ...(row.ask_id === null ? {} : { own: table.asks.get(row.ask_id) }),
    avoid: (JSON.parse(row.avoid) as SiteId[]).map(siteId),
    notBeforeMs: row.not_before_ms,
    released: [],
  };
}

function addAttempt(
  table: JobTable,
  task: TaskRecord,
  row: TaskRow,
  stored: AttemptRow,
  nowMs: number,
): void {
  const attempt: AttemptRecord = {
    id: attemptId(stored.id),
    task,
    number: stored.number,
    site: siteId(stored.site),
    state: stored.state,
    reason: stored.reason,
    detail: stored.detail,
    placedAtMs: stored.placed_ms,
    ...(stored.started_ms === null ? {} : { startedAtMs: stored.started_ms }),
    ...(stored.ended_ms === null ? {} : { endedAtMs: stored.ended_ms }),
    ...(stored.outcome === null ? {} : { outcome: parseOutcome(stored.outcome) }),
    acknowledged: false,
    waiting: stored.ended_ms === null && stored.started_ms === null,
  };
  if (stored.id === row.attempt_id) task.attempt = attempt;
  if (stored.state === 'released') task.released.push(attempt);
  if (stored.ended_ms !== null) return;
  table.addAttempt(attempt);
  const { share, ask } = classOf(task);
  if (stored.started_ms !== null)
    table.shares.start(share, needOf(ask.resources), stored.started_ms, nowMs);
}
