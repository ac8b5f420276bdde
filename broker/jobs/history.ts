import { sql, type Transaction } from 'kysely';
import type { JobId } from '../../core/ids.ts';
import { background, pause } from '../../service/background.ts';
import { steadyNow } from '../../service/clock.ts';
import type { Book } from '../book.ts';
import { dropOrphans, dropTrees, releaseDatasets } from '../data/release-trees.ts';
import type { JobRow, LedgerSchema } from '../ledger/ledger.ts';
import type { HistoryRow } from '../ledger/ledger-history.ts';
import { forgetAsks } from '../matching/forget-asks.ts';

/**
 * Takes jobs out of the ledger that ended longer ago than `keepMs`. Of each a row stays in `history`; what its tasks left
 * goes bit by bit, and trees that nobody else names go, too, so that the stores can be swept; so do those of datasets that
 * were removed or have expired; so do the asks that no job is left for. It works in small transactions between those of everybody else, and leaves off between any
 * two of them.
 *
 * Open jobs stay, what an open job names in `after` or takes results from, and the flows of which not all jobs are old.
 */
export interface History extends AsyncDisposable {
  /** Removes all that is due; gives how many jobs went. */
  pass(): Promise<number>;
}

interface HistoryOptions {
  readonly book: Book;
  readonly keepMs: number;
}

type Db = Transaction<LedgerSchema>;

const FIRST_MS = 60_000;
const EVERY_MS = 3_600_000;
/** In one transaction. */
const MOST = { jobs: 200, rows: 1_000 };

export function openHistory({ book, keepMs }: HistoryOptions): History {
  const stop = new AbortController();
  const { signal } = stop;
  const nowMs = steadyNow(book.clock);
  let running: Promise<number> | undefined;
  /** Only the end of a broker leaves any, so the first pass finds them all. */
  const orphans: Orphans = { last: '' };
  const pass = (): Promise<number> => {
    running ??= runPass(book, { nowMs: nowMs(), keepMs, orphans }, signal).finally(() => {
      running = undefined;
    });
    return running;
  };
  const passes = async (): Promise<void> => {
    await pause(FIRST_MS, signal);
    while (!signal.aborted) {
      await pass().catch((error: unknown) =>
        book.log.error({ err: error }, 'old jobs could not be removed'),
      );
      await pause(EVERY_MS, signal);
    }
  };
  background('remove old jobs', passes(), book.log);
  return {
    pass,
    [Symbol.asyncDispose]: async () => {
      stop.abort();
      await running?.catch(() => undefined);
    },
  };
}

/** How far a pass has come. */
interface Progress {
  removed: number;
  /** The job that was looked at last, of those that ended longest ago; undefined when all have been. */
  last: { readonly ended_ms: number; readonly id: string } | undefined;
  /** Whether there may be rows of jobs that have been moved, old submissions, or datasets that are gone. */
  isRest: boolean;
}

/** The tree that was looked at last of those that nothing may name; undefined when all have been. */
interface Orphans {
  last: string | undefined;
}

interface Due {
  readonly nowMs: number;
  readonly keepMs: number;
  readonly orphans: Orphans;
}

async function runPass(
  book: Book,
  { nowMs, keepMs, orphans }: Due,
  signal: AbortSignal,
): Promise<number> {
  const beforeMs = Math.floor(nowMs - keepMs);
  const progress: Progress = { removed: 0, last: { ended_ms: 0, id: '' }, isRest: true };
  const isDone = () => progress.last === undefined && !progress.isRest;
  while (!(isDone() && orphans.last === undefined) && !signal.aborted) {
    const fromMs = performance.now();
    await book.recorder.amend(async (db) => {
      await moveOld(db, book, beforeMs, progress);
      progress.isRest =
        (await removeRest(db)) ||
        (await removeSubmits(db, beforeMs)) ||
        (await releaseDatasets(db, book, nowMs));
      if (orphans.last !== undefined) orphans.last = await dropOrphans(db, orphans.last);
    });
    // The others get the ledger for as long as it was taken from them.
    await pause(performance.now() - fromMs, signal);
  }
  const { removed } = progress;
  const asks = await forgetAsks(book, signal);
  if (removed + asks > 0) book.log.info({ jobs: removed, asks, beforeMs }, 'old jobs were removed');
  return removed;
}

/** Moves those that may go of the next old jobs. */
async function moveOld(db: Db, book: Book, beforeMs: number, progress: Progress): Promise<void> {
  const { last } = progress;
  if (last === undefined) return;
  const rows = await oldJobs(db, beforeMs, last);
  // Nothing is awaited between this and the first removal: whoever holds a job later finds it gone.
  const { table, holds } = book;
  const going = rows.filter(({ id, flow_id, is_flow_old }) => {
    const isWanted = table.jobs.has(id as JobId) || table.isNamed(id as JobId);
    return !isWanted && is_flow_old === 1 && !holds.has(id) && !holds.has(flow_id);
  });
  if (going.length > 0) await moveAll(db, going);
  progress.removed += going.length;
  progress.last = rows.length < MOST.jobs ? undefined : rows.at(-1);
}

type OldJob = Omit<HistoryRow, 'rest'> & Pick<JobRow, 'inputs' | 'flow_id'>;

function oldJobs(
  db: Db,
  beforeMs: number,
  { ended_ms, id }: NonNullable<Progress['last']>,
): Promise<readonly (OldJob & { readonly is_flow_old: number })[]> {
  const isFlowOld = sql<number>`case when jobs.flow_id = '' or not exists (
    select 1 from jobs as mate join job_state as standing on standing.job_id = mate.id
    where mate.flow_id <> '' and mate.flow_id = jobs.flow_id
    and (standing.ended_ms is null or standing.ended_ms >= ${beforeMs})) then 1 else 0 end`;
  return db
    .selectFrom('job_state')
    .innerJoin('jobs', 'jobs.id', 'job_state.job_id')
    .select(['jobs.id', 'seq', 'owner', 'vo', 'name', 'tasks', 'inputs', 'flow_id'])
    .select(['state', 'reason', 'detail', 'submitted_ms'])
    .select(sql<number>`ended_ms`.as('ended_ms'))
    .select(isFlowOld.as('is_flow_old'))
    .where('ended_ms', 'is not', null)
    .where('ended_ms', '<', beforeMs)
    .where('ended_ms', '>=', ended_ms)
    .where((where) =>
      where.or([
        where('ended_ms', '>', ended_ms),
        where.and([where('ended_ms', '=', ended_ms), where('job_id', '>', id)]),
      ]),
    )
    .orderBy('ended_ms')
    .orderBy('job_id')
    .limit(MOST.jobs)
    .execute();
}

async function moveAll(db: Db, going: readonly OldJob[]): Promise<void> {
  const ids = going.map(({ id }) => id);
  await db.insertInto('history').values(going.map(historyRow)).execute();
  await db.deleteFrom('job_state').where('job_id', 'in', ids).execute();
  await db.deleteFrom('jobs').where('id', 'in', ids).execute();
  await db.deleteFrom('removed_results').where('job_id', 'in', ids).execute();
  await dropTrees(
    db,
    going.map(({ inputs }) => inputs),
  );
  const flows = [...new Set(going.map(({ flow_id }) => flow_id))].filter((id) => id !== '');
  if (flows.length === 0) return;
  await db
    .deleteFrom('flows')
    .where('id', 'in', flows)
    .where(sql<boolean>`not exists (select 1 from jobs where flow_id <> '' and flow_id = flows.id)`)
    .execute();
}

const historyRow = (job: OldJob): HistoryRow => ({
  id: job.id,
  seq: job.seq,
  owner: job.owner,
  vo: job.vo,
  name: job.name,
  tasks: job.tasks,
  state: job.state,
  reason: job.reason,
  detail: job.detail,
  submitted_ms: job.submitted_ms,
  ended_ms: job.ended_ms,
  rest: 1,
});

/** Removes rows of tasks of moved jobs; says whether there may be more. */
async function removeRest(db: Db): Promise<boolean> {
  const jobs = await db
    .selectFrom('history')
    .select('id')
    .where(sql<boolean>`rest = 1`)
    .orderBy('id')
    .limit(MOST.jobs)
    .execute();
  if (jobs.length === 0) return false;
  const ids = jobs.map(({ id }) => id);
  const isDone = [
    await removeAttempts(db, ids),
    await removeTasks(db, ids),
    await removeEvents(db, ids),
  ];
  if (isDone.every(Boolean))
    await db.updateTable('history').set({ rest: 0 }).where('id', 'in', ids).execute();
  return true;
}

/** Whether none are left; so the others below. */
async function removeAttempts(db: Db, jobs: readonly string[]): Promise<boolean> {
  const rows = await db
    .selectFrom('attempts')
    .select(['id', 'outputs'])
    .where('job_id', 'in', jobs)
    .limit(MOST.rows)
    .execute();
  if (rows.length === 0) return true;
  const ids = rows.map(({ id }) => id);
  await db.deleteFrom('attempts').where('id', 'in', ids).execute();
  await dropTrees(
    db,
    rows.map(({ outputs }) => outputs),
  );
  return rows.length < MOST.rows;
}

async function removeEvents(db: Db, jobs: readonly string[]): Promise<boolean> {
  const rows = await db
    .selectFrom('events')
    .select('seq')
    .where('job_id', 'in', jobs)
    .limit(MOST.rows)
    .execute();
  if (rows.length === 0) return true;
  const seqs = rows.map(({ seq }) => seq);
  await db.deleteFrom('events').where('seq', 'in', seqs).execute();
  return rows.length < MOST.rows;
}

async function removeTasks(db: Db, jobs: readonly string[]): Promise<boolean> {
  const rows = await db
    .selectFrom('tasks')
    .select(['job_id', 'ordinal', 'live_tree'])
    .where('job_id', 'in', jobs)
    .orderBy('job_id')
    .orderBy('ordinal')
    .limit(MOST.rows)
    .execute();
  const last = rows.at(-1);
  if (last === undefined) return true;
  const whole = new Set(rows.map(({ job_id }) => job_id));
  whole.delete(last.job_id);
  if (whole.size > 0)
    await db
      .deleteFrom('tasks')
      .where('job_id', 'in', [...whole])
      .execute();
  await db
    .deleteFrom('tasks')
    .where('job_id', '=', last.job_id)
    .where('ordinal', '<=', last.ordinal)
    .execute();
  await dropTrees(
    db,
    rows.map(({ live_tree }) => live_tree),
  );
  return rows.length < MOST.rows;
}

/** Who submits again after so long means something new. Says whether there may be more. */
async function removeSubmits(db: Db, beforeMs: number): Promise<boolean> {
  const rows = await db
    .selectFrom('submits')
    .select('at_ms')
    .where('at_ms', '<', beforeMs)
    .orderBy('at_ms')
    .limit(MOST.rows)
    .execute();
  const last = rows.at(-1);
  if (last === undefined) return false;
  await db.deleteFrom('submits').where('at_ms', '<=', last.at_ms).execute();
  return rows.length === MOST.rows;
}
