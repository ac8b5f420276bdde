import { sql } from 'kysely';
import { GridError } from '../../core/errors.ts';
import type { JobId } from '../../core/ids.ts';
import { formatDependency, settle } from '../../core/job/dependency.ts';
import { datasetInputs, type JobSpec, jobInputs } from '../../core/job/spec.ts';
import { type Book, begin, commit } from '../book.ts';
import { holdDatasets, treeOfDataset } from '../data/result-trees.ts';
import { inChunks } from '../ledger/in-chunks.ts';
import type { AttemptRow, LedgerDb, TaskRow } from '../ledger/ledger.ts';
import { checkKept } from '../results/kept-results.ts';
import { openTurns } from '../turns.ts';
import { retryTasks } from './job-moves.ts';
import { addAttempt, jobRecord, taskRecord } from './load-table.ts';
import { type JobRecord, parseStoredSpec, type TaskRecord, waitFor } from './records.ts';

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
  const inTurn = openTurns();
  return (wish) =>
    inTurn(wish.id, () =>
      retry(book, { ...wish, ordinals: [...new Set(wish.ordinals)] }, onQueued),
    );
}

/** Tasks that are read and queued in one transaction; between two of them others have their turn. */
const PART = 500;

/** What was done of a wish. */
interface Done {
  /** Tasks that wait again. */
  readonly tasks: number;
  /** Those up to this one have been looked at; undefined when all have been. */
  readonly last: number | undefined;
}

async function retry(book: Book, wish: RetryWish, onQueued: () => void): Promise<number> {
  let { tasks, last } = await retryPart(book, wish, undefined);
  for (onQueued(); last !== undefined; onQueued()) {
    await new Promise(setImmediate);
    const done = await retryPart(book, wish, last);
    tasks += done.tasks;
    ({ last } = done);
  }
  return tasks;
}

/** Tries the first tasks again that come behind `after`; without it those that come first, if all of the wish can be done. */
async function retryPart(book: Book, wish: RetryWish, after: number | undefined): Promise<Done> {
  for (;;) {
    using held = new DisposableStack();
    held.use(book.holds.hold([wish.id]));
    await book.recorder.settled();
    const ended = book.table.jobs.has(wish.id) ? undefined : await readEnded(book, wish.id, held);
    const missing = after === undefined ? await findMissing(book.db, wish) : undefined;
    const unwell = await readUnwell(book.db, wish, after ?? -1);
    const job = book.table.jobs.get(wish.id) ?? ended;
    // It has ended while the ledger was read: its record there is another one now.
    if (job === undefined) continue;
    if (after !== undefined && (isStopped(job) || unwell.length === 0)) return NOTHING_LEFT;
    const tasks = unwell.map((row) => taskOf(book, job, row));
    const isOver = ended !== undefined;
    const fresh = after === undefined ? checkedFresh(job, wish, { tasks, missing, isOver }) : 0;
    await queueAgain(book, job, { tasks, isOver, by: wish.by });
    return { tasks: tasks.length + fresh, last: lastOf(unwell) };
  }
}

/** Undefined where there are no more behind them. */
const lastOf = (some: readonly Unwell[]): Done['last'] =>
  some.length < PART ? undefined : some.at(-1)?.task.ordinal;

const NOTHING_LEFT: Done = { tasks: 0, last: undefined };

/** Whether somebody has thought better of it meanwhile. */
const isStopped = ({ cancelReason, hold }: JobRecord): boolean =>
  cancelReason !== undefined || hold !== undefined;

async function queueAgain(
  book: Book,
  job: JobRecord,
  wish: { readonly tasks: readonly TaskRecord[]; readonly isOver: boolean; readonly by: string },
): Promise<void> {
  const { jobs } = book.table;
  if (wish.isOver && job.nextOrdinal === 0)
    waitFor(
      job,
      job.after.flatMap(({ job: id }) => (jobs.has(id) ? [id] : [])),
    );
  const set = begin(book);
  retryTasks(book.table, set, job, wish.tasks, `retried by ${wish.by}`);
  const hasDone = (job.counts.done ?? 0) > 0;
  await commit(book, set);
  // Where nothing was done nothing is missing of the results to come.
  if (wish.isOver && !hasDone) await forgetRemoval(book, job.id);
}

const forgetRemoval = ({ recorder }: Book, id: JobId): Promise<void> =>
  recorder.amend(async (db) => {
    await db.deleteFrom('removed_results').where('job_id', '=', id).execute();
  });

/** How many tasks begin that had not when the job was cancelled; throws JOB_EVENT_REFUSED where nothing can be retried. */
function checkedFresh(
  job: JobRecord,
  { id, failedOnly, ordinals }: RetryWish,
  found: {
    readonly tasks: readonly TaskRecord[];
    readonly missing: number | undefined;
    readonly isOver: boolean;
  },
): number {
  const { tasks, missing, isOver } = found;
  const cancelled = job.cancelReason !== undefined;
  if (cancelled && !isOver) throw refuse(`job ${id} is being cancelled: wait until it has ended`);
  if (job.hold !== undefined) throw refuse(`job ${id} is held: release it first`);
  const fresh = cancelled ? job.tasks - job.nextOrdinal : 0;
  if (fresh > 0 && (failedOnly || ordinals.length > 0))
    throw refuse(
      `job ${id} was cancelled before ${fresh} of its ${job.tasks} tasks began: it can only be retried as a whole`,
    );
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
  const spec = parseStoredSpec(row.spec);
  await checkKept(
    book.db,
    jobInputs(spec).map((input) => input.job),
  );
  await checkDatasets(book, job, spec, held);
  return job;
}

/** Throws JOB_EVENT_REFUSED where a dataset that it takes has been let go of. */
async function checkDatasets(
  book: Book,
  { id }: JobRecord,
  spec: JobSpec,
  held: DisposableStack,
): Promise<void> {
  held.use(holdDatasets(book.holds, [{ spec }]));
  await book.recorder.settled();
  for (const { from } of datasetInputs(spec))
    if ((await treeOfDataset(book.db, from)) === undefined)
      throw refuse(
        `job ${id} takes ${from}, which was removed: put it again, and submit a new job`,
      );
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

/** A task that has ended other than well, with its attempts. */
interface Unwell {
  readonly task: TaskRow;
  readonly attempts: readonly AttemptRow[];
}

/** There is an index of just these. */
const isUnwell = sql<boolean>`tasks.state in ('failed', 'cancelled')`;

const unwellTasks = (db: LedgerDb, { id, failedOnly }: RetryWish) =>
  db
    .selectFrom('tasks')
    .where('job_id', '=', id)
    .where(isUnwell)
    .where('state', 'in', failedOnly ? ['failed'] : ['failed', 'cancelled']);

/** The first of the tasks that are named and cannot be tried again. */
async function findMissing(db: LedgerDb, wish: RetryWish): Promise<number | undefined> {
  const rows = await inChunks(wish.ordinals, (some) =>
    unwellTasks(db, wish).select('ordinal').where('ordinal', 'in', some).execute(),
  );
  const found = new Set(rows.map(({ ordinal }) => ordinal));
  return wish.ordinals.find((ordinal) => !found.has(ordinal));
}

/** The first tasks behind `after` that are wanted. */
async function readUnwell(
  db: LedgerDb,
  wish: RetryWish,
  after: number,
): Promise<readonly Unwell[]> {
  const { ordinals } = wish;
  const next = ordinals.filter((ordinal) => ordinal > after).toSorted((a, b) => a - b);
  let query = unwellTasks(db, wish).selectAll().where('ordinal', '>', after);
  if (ordinals.length > 0) query = query.where('ordinal', 'in', next.slice(0, PART));
  const rows = await query.orderBy('ordinal').limit(PART).execute();
  if (rows.length === 0) return [];
  const attempts = await db
    .selectFrom('attempts')
    .selectAll()
    .where('job_id', '=', wish.id)
    .where(
      'ordinal',
      'in',
      rows.map(({ ordinal }) => ordinal),
    )
    .execute();
  const byOrdinal = Map.groupBy(attempts, ({ ordinal }) => ordinal);
  return rows.map((task) => ({ task, attempts: byOrdinal.get(task.ordinal) ?? [] }));
}

function taskOf(
  { table, clock }: Book,
  job: JobRecord,
  { task: row, attempts }: Unwell,
): TaskRecord {
  const task = taskRecord(table, job, row);
  for (const attempt of attempts) addAttempt(table, task, row, attempt, clock.nowMs());
  return task;
}
