import { sql } from 'kysely';
import { GridError } from '../core/errors.ts';
import type { JobId } from '../core/ids.ts';
import { formatDependency, settle } from '../core/job/dependency.ts';
import { jobInputs } from '../core/job/spec.ts';
import type { JobState } from '../core/job/state.ts';
import { type Book, begin, commit } from './book.ts';
import { retryTasks } from './job-moves.ts';
import type { LedgerDb } from './ledger.ts';
import { addAttempt, jobRecord, taskRecord } from './load-table.ts';
import { type JobRecord, parseStoredSpec, type TaskRecord, waitFor } from './records.ts';
import { checkKept } from './results/kept-results.ts';

/** Which tasks shall be tried again. */
interface RetryWish {
  readonly id: JobId;
  /** Leave those alone that were cancelled. */
  readonly failedOnly: boolean;
  /** Only these; empty means all. */
  readonly ordinals: readonly number[];
  /** Who asks. */
  readonly by: string;
}

/** Tries tasks again that have failed or were cancelled; gives how many. */
export type Retry = (wish: RetryWish) => Promise<number>;

const refuse = (message: string): GridError => new GridError('JOB_EVENT_REFUSED', message);

/** Retries of one job are made one after the other: nothing else takes a task out of a final state. */
export function openRetry(book: Book, onQueued: () => void): Retry {
  const underway = new Map<JobId, Promise<unknown>>();
  return async (wish) => {
    while (underway.has(wish.id)) await underway.get(wish.id)?.catch(() => undefined);
    const running = retry(book, wish, onQueued);
    underway.set(wish.id, running);
    try {
      return await running;
    } finally {
      underway.delete(wish.id);
    }
  };
}

async function retry(book: Book, wish: RetryWish, onQueued: () => void): Promise<number> {
  for (;;) {
    using held = new DisposableStack();
    held.use(book.holds.hold([wish.id]));
    await book.recorder.settled();
    const ended = book.table.jobs.has(wish.id) ? undefined : await readEnded(book, wish.id, held);
    const unwell = await readUnwell(book.db, wish);
    const job = book.table.jobs.get(wish.id) ?? ended;
    // It has ended while the ledger was read: its record there is another one now.
    if (job === undefined) continue;
    const tasks = unwell(book, job);
    const fresh = checkedFresh(job, wish, tasks, ended !== undefined);
    if (ended !== undefined && job.nextOrdinal === 0)
      waitFor(
        job,
        job.after.flatMap(({ job: id }) => (book.table.jobs.has(id) ? [id] : [])),
      );
    const set = begin(book);
    retryTasks(book.table, set, job, tasks, `retried by ${wish.by}`);
    onQueued();
    const hasDone = (job.counts.done ?? 0) > 0;
    await commit(book, set);
    // Where nothing was done nothing is missing of the results to come.
    if (ended !== undefined && !hasDone) await forgetRemoval(book, wish.id);
    return tasks.length + fresh;
  }
}

const forgetRemoval = ({ recorder }: Book, id: JobId): Promise<void> =>
  recorder.amend(async (db) => {
    await db.deleteFrom('removed_results').where('job_id', '=', id).execute();
  });

/** How many tasks begin that had not when the job was cancelled; throws JOB_EVENT_REFUSED where nothing can be retried. */
function checkedFresh(
  job: JobRecord,
  { id, failedOnly, ordinals }: RetryWish,
  tasks: readonly TaskRecord[],
  ended: boolean,
): number {
  const cancelled = job.cancelReason !== undefined;
  if (cancelled && !ended) throw refuse(`job ${id} is being cancelled: wait until it has ended`);
  if (job.hold !== undefined) throw refuse(`job ${id} is held: release it first`);
  const fresh = cancelled ? job.tasks - job.nextOrdinal : 0;
  if (fresh > 0 && (failedOnly || ordinals.length > 0))
    throw refuse(
      `job ${id} was cancelled before ${fresh} of its ${job.tasks} tasks began: it can only be retried as a whole`,
    );
  const missing = ordinals.find((ordinal) => !tasks.some((task) => task.ordinal === ordinal));
  const what = failedOnly ? 'failed' : 'failed or was cancelled';
  if (missing !== undefined) throw refuse(`task ${missing} of job ${id} is none that has ${what}`);
  if (tasks.length + fresh === 0) throw refuse(`job ${id} has no task that ${what}`);
  return fresh;
}

/**
 * A job that has ended, as if it had not. Throws JOB_EVENT_REFUSED where one that it comes after has ended badly, or is no
 * longer there. What it names stays until `held` is disposed of.
 */
async function readEnded(book: Book, id: JobId, held: DisposableStack): Promise<JobRecord> {
  const row = await book.db
    .selectFrom('job_state')
    .innerJoin('jobs', 'jobs.id', 'job_state.job_id')
    .selectAll()
    .where('job_id', '=', id)
    .executeTakeFirst();
  if (row === undefined) throw new GridError('JOB_NOT_FOUND', `job ${id} was just removed`);
  const job = jobRecord(book.table, row);
  // It may have been held while the last of its tasks ran: nobody could release it now.
  delete job.hold;
  await checkDependencies(book, job, held);
  const inputs = jobInputs(parseStoredSpec(row.spec)).map((input) => input.job);
  await checkKept(book.db, inputs);
  return job;
}

async function checkDependencies(book: Book, job: JobRecord, held: DisposableStack): Promise<void> {
  if (job.after.length === 0) return;
  held.use(book.holds.hold(job.after.map((dependency) => dependency.job)));
  await book.recorder.settled();
  const rows = await book.db
    .selectFrom('job_state')
    .select(['job_id', 'state'])
    .where(
      'job_id',
      'in',
      job.after.map((dependency) => dependency.job),
    )
    .execute();
  const states = new Map(rows.map(({ job_id, state }) => [job_id, state]));
  for (const dependency of job.after) {
    const state = states.get(dependency.job);
    if (state === undefined)
      throw refuse(`job ${job.id} comes after ${dependency.job}, which was removed for its age`);
    if (job.nextOrdinal === 0 && settle(dependency.when, state) === 'never')
      throw refuse(
        `job ${job.id} waits for ${formatDependency(dependency)}, which has ended ${state}: retry that one first`,
      );
  }
}

/** Tasks of a job that have ended other than well, read by an index of just these. */
async function readUnwell(
  db: LedgerDb,
  { id, failedOnly, ordinals }: RetryWish,
): Promise<(book: Book, job: JobRecord) => readonly TaskRecord[]> {
  const states: readonly JobState[] = failedOnly ? ['failed'] : ['failed', 'cancelled'];
  const unwell = sql<boolean>`tasks.state in ('failed', 'cancelled')`;
  const rows = await db
    .selectFrom('tasks')
    .selectAll()
    .where('job_id', '=', id)
    .where(unwell)
    .orderBy('ordinal')
    .execute();
  const attempts = await db
    .selectFrom('tasks')
    .innerJoin('attempts', (join) =>
      join
        .onRef('attempts.job_id', '=', 'tasks.job_id')
        .onRef('attempts.ordinal', '=', 'tasks.ordinal'),
    )
    .selectAll('attempts')
    .where('tasks.job_id', '=', id)
    .where(unwell)
    .execute();
  const byOrdinal = Map.groupBy(attempts, ({ ordinal }) => ordinal);
  const wanted = rows.filter(
    ({ state, ordinal }) =>
      states.includes(state) && (ordinals.length === 0 || ordinals.includes(ordinal)),
  );
  return ({ table, clock }, job) =>
    wanted.map((row) => {
      const task = taskRecord(table, job, row);
      for (const attempt of byOrdinal.get(row.ordinal) ?? [])
        addAttempt(table, task, row, attempt, clock.nowMs());
      return task;
    });
}
