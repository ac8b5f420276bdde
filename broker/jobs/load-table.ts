import { attemptId, type JobId, jobId, type SiteId, siteId } from '../../core/ids.ts';
import type { StateCounts } from '../../core/job/summary.ts';
import { needOf } from '../../core/match/need.ts';
import { openShareTree, type ShareSettings } from '../../core/share/share-tree.ts';
import type { AttemptRow, JobRow, JobStateRow, LedgerDb, TaskRow } from '../ledger/ledger.ts';
import { openAskClasses } from '../matching/ask-classes.ts';
import { loadShares } from '../shares/load-shares.ts';
import { type JobTable, openJobTable } from './job-table.ts';
import {
  type AttemptRecord,
  addTask,
  classOf,
  type JobRecord,
  NOTHING,
  parseAfter,
  parseLive,
  parseOutcome,
  type TaskRecord,
  type Why,
  waitFor,
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
  const last = [await lastOf(db, 'jobs'), await lastOf(db, 'history')];
  const event = await db
    .selectFrom('events')
    .select(({ fn }) => fn.max('seq').as('seq'))
    .executeTakeFirst();
  return {
    table,
    lastEvent: event?.seq ?? 0,
    lastSeq: Math.max(...last.map(({ seq }) => seq)),
    lastJobId:
      last
        .map(({ id }) => id)
        .toSorted()
        .at(-1) ?? '',
  };
}

/** The highest number and id: neither is given again, though their job is old. */
const lastOf = async (
  db: LedgerDb,
  table: 'jobs' | 'history',
): Promise<{ readonly seq: number; readonly id: string }> =>
  (await db
    .selectFrom(table)
    .select(['seq', 'id'])
    .orderBy('seq', 'desc')
    .limit(1)
    .executeTakeFirst()) ?? { seq: 0, id: '' };

/** Rows that are in memory at a time. */
const PAGE = 10_000;

async function loadJobs(db: LedgerDb, table: JobTable): Promise<void> {
  const read = (afterId: string) =>
    db
      .selectFrom('job_state')
      .innerJoin('jobs', 'jobs.id', 'job_state.job_id')
      .select(['job_id', 'reason', 'detail', 'next_ordinal', 'counts', 'sites', 'cancel_reason'])
      .select(['hold', 'seq', 'inputs', 'ask_id', 'tasks', 'after', 'retries', 'retry_memory'])
      .select(['max_running', 'keep', 'submitted_ms', 'waits_for'])
      .where('ended_ms', 'is', null)
      .where('job_id', '>', afterId)
      .orderBy('job_id')
      .limit(PAGE)
      .execute();
  const dependent: { readonly job: JobRecord; readonly waits: string | null }[] = [];
  for (let rows = await read(''); rows.length > 0; rows = await read(rows.at(-1)?.job_id ?? '')) {
    for (const row of rows) {
      const job = jobRecord(table, row);
      if (job.after.length > 0) dependent.push({ job, waits: row.waits_for });
      else table.addJob(job);
    }
  }
  // What has ended was settled in the transaction that ended it, and stays settled though it be opened again.
  const open = new Set(dependent.map(({ job }) => job.id));
  for (const { job, waits } of dependent) {
    const others = job.after.map((dependency) => dependency.job);
    const isOpen = (id: JobId): boolean => open.has(id) || table.jobs.has(id);
    waitFor(job, waits === null ? others.filter(isOpen) : (JSON.parse(waits) as JobId[]));
    table.addJob(job);
  }
}

type StoredState = Omit<JobStateRow, 'state' | 'ended_ms' | 'waits_for'> &
  Omit<JobRow, 'id' | 'owner' | 'vo' | 'fqans' | 'name' | 'spec' | 'flow_id' | 'flow_node'>;

/** A text that a million rows have is parsed once, and what it says is shared. */
function shared<T>(parse: (text: string) => T): (text: string) => T {
  let last: { readonly text: string; readonly value: T } | undefined;
  return (text) => {
    if (last?.text !== text) last = { text, value: parse(text) };
    return last.value;
  };
}
const sharedAfter = shared((text) => parseAfter(JSON.parse(text) as string[]));
const sharedCounts = shared((text) => JSON.parse(text) as StateCounts);
const sharedSites = shared((text) => new Set((JSON.parse(text) as string[]).map(siteId)));

/** A job of the ledger as if it were open; whom it waits for is the caller's to say. */
export function jobRecord(table: JobTable, row: StoredState): JobRecord {
  const kind = table.asks.get(row.ask_id);
  const job: JobRecord = {
    id: jobId(row.job_id),
    seq: row.seq,
    owner: kind.ask.owner,
    vo: kind.ask.vo,
    ...kind,
    tasks: row.tasks,
    inputs: row.inputs,
    after: sharedAfter(row.after),
    retries: row.retries,
    ...(row.retry_memory === null ? {} : { retryMemory: row.retry_memory }),
    ...(row.max_running === null ? {} : { maxRunning: row.max_running }),
    onLost: row.keep === 1 ? 'keep' : 'release',
    submittedAtMs: row.submitted_ms,
    nextOrdinal: row.next_ordinal,
    counts: sharedCounts(row.counts),
    sites: sharedSites(row.sites),
    reason: row.reason,
    detail: row.detail,
    waitsFor: NOTHING.waitsFor,
    open: NOTHING.open,
  };
  if (row.hold !== null) job.hold = JSON.parse(row.hold) as Why;
  if (row.cancel_reason !== null) job.cancelReason = row.cancel_reason;
  return job;
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
    addTask(job, task);
    for (const attempt of byTask.get(`${row.job_id}.${row.ordinal}`) ?? [])
      addAttempt(table, task, row, attempt, nowMs);
    if (task.state === 'queued') table.queues.addTask(task);
  }
}

export function taskRecord(table: JobTable, job: JobRecord, row: TaskRow): TaskRecord {
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
    ...(row.live === null ? {} : { live: parseLive(row.live) }),
    released: [],
  };
}

/** Adds an attempt of a task, live or not. */
export function addAttempt(
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
    ...(stored.outcome === null ? {} : { outcome: parseOutcome(stored.outcome, stored.outputs) }),
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
