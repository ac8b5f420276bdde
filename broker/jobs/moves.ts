import { settle, whyNever } from '../../core/job/dependency.ts';
import { attemptIdOf } from '../../core/job/job-id.ts';
import type { Outcome } from '../../core/job/outcome.ts';
import { type JobMove, type JobState, next } from '../../core/job/state.ts';
import { hasEnded, jobStateOf } from '../../core/job/summary.ts';
import { needOf } from '../../core/match/need.ts';
import type { Placement } from '../../core/match/snapshot.ts';
import { judgeRelease, NO_FAILURES, type RetryVerdict } from '../../core/retry/retry.ts';
import { addQueued } from '../../core/share/share-tree.ts';
import type { ChangeSet } from './change-set.ts';
import type { JobTable } from './job-table.ts';
import { dropLive } from './live-state.ts';
import {
  type AttemptRecord,
  addSite,
  addTask,
  classOf,
  dropTask,
  type JobRecord,
  type TaskRecord,
  type Why,
  waitFor,
} from './records.ts';

/** The state of a task that has not come into being is the job's business; this is its first record. */
function taskOf(job: JobRecord, ordinal: number): TaskRecord {
  const known = job.open.get(ordinal);
  if (known !== undefined) return known;
  if (ordinal !== job.nextOrdinal)
    throw new TypeError(`task ${ordinal} of ${job.id} is out of turn`);
  const task: TaskRecord = {
    job,
    ordinal,
    state: 'queued',
    reason: '',
    detail: '',
    attempts: 0,
    failures: NO_FAILURES,
    avoid: [],
    notBeforeMs: 0,
    released: [],
  };
  addTask(job, task);
  job.nextOrdinal += 1;
  return task;
}

const count = (job: JobRecord, state: JobState, by: number): void => {
  job.counts = { ...job.counts, [state]: (job.counts[state] ?? 0) + by };
  if (state === 'queued') addQueued(job.share, by);
};

/** Moves all tasks that have not come into being from one state to another: they have no records but the count. */
export function countFresh(job: JobRecord, from: JobState, to: JobState): void {
  const fresh = job.tasks - job.nextOrdinal;
  count(job, from, -fresh);
  count(job, to, fresh);
}

function explain(task: TaskRecord, why: Why): void {
  task.reason = why.reason;
  task.detail = why.detail;
  const { job } = task;
  // A job with one task speaks for it; an array shows the first thing that a person should look at.
  const telling = task.state === 'failed' || task.state === 'held';
  if (job.tasks === 1 || (telling && job.reason === '')) {
    job.reason = why.reason;
    job.detail = why.detail;
  }
}

/** Why a task is where it is has changed, and nothing else. */
export function reword(set: ChangeSet, task: TaskRecord, detail: string): void {
  explain(task, { reason: '', detail });
  set.touchTask(task);
}

const NO_REASON: Why = { reason: '', detail: '' };

/** Moves a task by the table of moves; throws JOB_EVENT_REFUSED where the table has no such move. */
export function move(set: ChangeSet, task: TaskRecord, kind: JobMove, why: Why = NO_REASON): void {
  const { job, ordinal, attempt } = task;
  const state = next(task.state, kind);
  count(job, task.state, -1);
  count(job, state, 1);
  task.state = state;
  explain(task, why);
  set.touchTask(task);
  set.event({ job, ordinal, attempt, kind, state, ...why });
}

/** A new attempt of a queued task at a site. It is to be sent only when the change is in the ledger. */
export function place(table: JobTable, set: ChangeSet, placement: Placement): AttemptRecord {
  const job = table.jobs.get(placement.job);
  if (job === undefined) throw new TypeError(`job ${placement.job} is not open`);
  const task = taskOf(job, placement.ordinal);
  task.attempts += 1;
  const attempt: AttemptRecord = {
    id: attemptIdOf(job.id, task.ordinal, task.attempts),
    task,
    number: task.attempts,
    site: placement.site,
    state: 'matched',
    reason: '',
    detail: '',
    placedAtMs: set.nowMs,
    acknowledged: false,
    waiting: placement.backlog,
  };
  task.attempt = attempt;
  addSite(job, placement.site);
  table.addAttempt(attempt);
  set.touchAttempt(attempt);
  move(set, task, 'match');
  return attempt;
}

/**
 * A step of a live attempt that its gateway reported: `stageIn`, `submit`, `start`, `stageOut` or `suspend`. `siteAtMs`
 * is when by the gateway's clock, `atMs` the same within what is possible by the broker's.
 */
export function step(
  table: JobTable,
  set: ChangeSet,
  attempt: AttemptRecord,
  kind: JobMove,
  report: { readonly atMs: number; readonly siteAtMs: number; readonly detail: string },
): void {
  const { task } = attempt;
  move(set, task, kind, { reason: '', detail: report.detail });
  attempt.state = task.state;
  const waits = table.waitsAt(attempt.site);
  if (task.state === 'submitted') waits.queue(attempt, report.siteAtMs, set.nowMs);
  if (task.state === 'running') {
    if (attempt.startedAtMs === undefined) {
      waits.start(attempt, report.siteAtMs, set.nowMs);
      start(table, set, attempt, report.atMs);
    }
    table.leaveBacklog(attempt);
  }
  set.touchAttempt(attempt);
}

function start(table: JobTable, set: ChangeSet, attempt: AttemptRecord, atMs: number): void {
  const { share, ask } = classOf(attempt.task);
  attempt.startedAtMs = atMs;
  table.shares.start(share, needOf(ask.resources), atMs, set.nowMs);
}

/** A site has a live attempt no more: what it has used is charged in the transaction that ends it, so once. */
function leave(table: JobTable, set: ChangeSet, attempt: AttemptRecord, endedAtMs: number): void {
  attempt.endedAtMs = endedAtMs;
  table.leaveBacklog(attempt);
  set.touchAttempt(attempt);
  if (!table.removeAttempt(attempt)) return;
  const { share, ask } = classOf(attempt.task);
  const { startedAtMs } = attempt;
  const task = { need: needOf(ask.resources), startedAtMs, endedAtMs };
  table.shares.end(share, task, set.nowMs);
  set.touchShare(share);
}

/** How an attempt ended, and when. */
export interface AttemptEnd {
  readonly state: 'done' | 'failed' | 'cancelled';
  readonly atMs: number;
  readonly outcome?: Outcome | undefined;
}

/** Ends a live attempt with what its gateway reported; the task is not moved yet. */
export function closeAttempt(
  table: JobTable,
  set: ChangeSet,
  attempt: AttemptRecord,
  end: AttemptEnd,
): void {
  leave(table, set, attempt, end.atMs);
  attempt.state = end.state;
  attempt.reason = end.outcome?.reason ?? '';
  attempt.detail = end.outcome?.detail ?? '';
  if (end.outcome === undefined) return;
  attempt.outcome = end.outcome;
  if (end.outcome.outputs.digest !== '') dropLive(set, attempt.task);
}

/** Ends a task, and its job with the last one. */
export function endTask(
  table: JobTable,
  set: ChangeSet,
  task: TaskRecord,
  kind: 'finish' | 'fail' | 'cancel',
  why: Why = NO_REASON,
): void {
  move(set, task, kind, why);
  task.endedAtMs = set.nowMs;
  dropTask(task.job, task);
  endJobIfOver(table, set, task.job);
}

/**
 * Does what was decided about a task whose attempt at `site` is over: it waits again, is held, or ends. Where the job
 * is being cancelled it ends; where the job is held it waits for the job's release.
 */
export function carryOut(
  table: JobTable,
  set: ChangeSet,
  { task, site }: AttemptRecord,
  verdict: RetryVerdict,
): void {
  const { kind, reason, detail, counts, elsewhere, delayMs, memoryBytes } = verdict;
  const { job } = task;
  const why = { reason, detail };
  task.failures = counts;
  if (kind === 'fail') return endTask(table, set, task, 'fail', why);
  if (job.cancelReason !== undefined) {
    const cancelled = { reason: 'CANCELLED', detail: job.cancelReason };
    return endTask(table, set, task, 'cancel', cancelled);
  }
  if (elsewhere && !task.avoid.includes(site)) task.avoid = [...task.avoid, site];
  if (memoryBytes !== undefined) {
    const resources = { ...job.ask.resources, memoryBytes };
    task.own = table.asks.of(set, { ...job.ask, resources });
  }
  task.notBeforeMs = delayMs === 0 ? 0 : set.nowMs + delayMs;
  if (kind === 'hold') return move(set, task, 'hold', why);
  if (job.hold !== undefined) return move(set, task, 'hold', job.hold);
  move(set, task, 'release', why);
  table.queues.addTask(task);
}

/** Lets go of a live attempt that cannot run any more (or that must not): the task waits again. */
export function release(table: JobTable, set: ChangeSet, attempt: AttemptRecord, why: Why): void {
  letGo(table, set, attempt, why);
  carryOut(table, set, attempt, judgeRelease(why, attempt.task.failures));
}

function letGo(table: JobTable, set: ChangeSet, attempt: AttemptRecord, why: Why): void {
  leave(table, set, attempt, set.nowMs);
  attempt.state = 'released';
  attempt.reason = why.reason;
  attempt.detail = why.detail;
  attempt.task.released.push(attempt);
}

/**
 * A released attempt reports that it is done after all, and its task is still open: the first result counts. Gives
 * the attempt that has become superfluous, if there is one.
 */
export function acceptLateResult(
  table: JobTable,
  set: ChangeSet,
  late: AttemptRecord,
  end: AttemptEnd,
): AttemptRecord | undefined {
  const { task } = late;
  const why = { reason: 'LATE_RESULT', detail: `${late.id} at ${late.site} had finished in time` };
  const current = table.attempts.get(task.attempt?.id ?? late.id);
  if (current !== undefined) letGo(table, set, current, why);
  task.attempt = late;
  if (task.state === 'held') move(set, task, 'unhold', why);
  if (task.state === 'queued') move(set, task, 'match', why);
  closeAttempt(table, set, late, end);
  endTask(table, set, task, 'finish');
  return current;
}

/** Ends what waits of a job and gives the live attempts, which their sites have to end. */
export function cancelJob(
  table: JobTable,
  set: ChangeSet,
  job: JobRecord,
  why: Why,
): readonly AttemptRecord[] {
  if (job.endedAtMs !== undefined || job.cancelReason !== undefined) return [];
  job.cancelReason = why.detail;
  job.reason = why.reason;
  job.detail = why.detail;
  set.event({ job, kind: 'cancel-job', state: jobStateOf(job.counts), ...why });
  countFresh(job, job.hold === undefined ? 'queued' : 'held', 'cancelled');
  delete job.hold;
  const tasks = [...job.open.values()];
  for (const task of tasks) {
    if (task.state === 'queued' || task.state === 'held') endTask(table, set, task, 'cancel', why);
  }
  endJobIfOver(table, set, job);
  return tasks.flatMap(({ attempt }) =>
    attempt !== undefined && table.attempts.has(attempt.id) ? [attempt] : [],
  );
}

function endJobIfOver(table: JobTable, set: ChangeSet, job: JobRecord): void {
  if (job.endedAtMs !== undefined || !hasEnded(job.counts)) return;
  job.endedAtMs = set.nowMs;
  const state = jobStateOf(job.counts);
  set.event({ job, kind: 'end', state, reason: job.reason, detail: job.detail });
  const dependents = table.dependentsOf(job.id);
  table.removeJob(job);
  for (const dependent of dependents)
    set.defer(() => settleDependency(table, set, dependent, job, state));
}

function settleDependency(
  table: JobTable,
  set: ChangeSet,
  dependent: JobRecord,
  ended: JobRecord,
  state: JobState,
): void {
  const dependency = dependent.after.find(({ job }) => job === ended.id);
  if (dependency !== undefined && settle(dependency.when, state) === 'never') {
    cancelJob(table, set, dependent, whyNever(dependency, state));
    return;
  }
  waitFor(
    dependent,
    [...dependent.waitsFor].filter((id) => id !== ended.id),
  );
  set.touchJob(dependent);
  if (dependent.waitsFor.size === 0) table.queues.addJob(dependent);
}
