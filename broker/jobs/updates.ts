import type { AttemptId, SiteId } from '../../core/ids.ts';
import { parseAttemptId } from '../../core/job/job-id.ts';
import type { LiveOutputs } from '../../core/job/live-outputs.ts';
import type { Outcome } from '../../core/job/outcome.ts';
import { type JobMove, type JobState, peekNext } from '../../core/job/state.ts';
import { judge, judgeRelease, type RetryPolicy } from '../../core/retry/retry.ts';
import type { Log } from '../../service/log.ts';
import type { ChangeSet } from './change-set.ts';
import type { JobTable } from './job-table.ts';
import { noteLive } from './live-state.ts';
import { acceptLateResult, carryOut, closeAttempt, endTask, reword, step } from './moves.ts';
import { type AttemptRecord, classOf, type TaskRecord } from './records.ts';

/** What a gateway reported of an attempt. */
export interface Report {
  readonly attemptId: AttemptId;
  /** By the gateway's wall clock. */
  readonly atMs: number;
  readonly state: JobState;
  readonly outcome?: Outcome;
  readonly detail: string;
  /** It is only about the live outputs. */
  readonly live?: LiveOutputs;
}

/** An attempt that its site shall end. */
export interface Superfluous {
  readonly site: SiteId;
  readonly attemptId: AttemptId;
}

const STEPS: Readonly<Partial<Record<JobState, JobMove>>> = {
  'staging-in': 'stageIn',
  submitted: 'submit',
  running: 'start',
  'staging-out': 'stageOut',
  suspended: 'suspend',
};

/**
 * Applies a report; a repeated one changes nothing. Gives the attempts that must be ended because of it: one that the
 * broker had let go of and that is still alive, or one that a late result has made superfluous.
 */
export function applyReport(
  table: JobTable,
  set: ChangeSet,
  site: SiteId,
  report: Report,
  log: Log,
): readonly Superfluous[] {
  const attempt = table.attempts.get(report.attemptId);
  if (attempt === undefined) return applyLate(table, set, site, report, log);
  if (attempt.site !== site) {
    log.warn({ attempt: attempt.id, site, at: attempt.site }, 'a site reports of another one');
    return [];
  }
  if (report.live !== undefined) {
    noteLive(set, attempt, report.live);
    return [];
  }
  const kind = STEPS[report.state];
  if (kind === undefined) applyEnd(table, set, attempt, report, log);
  else if (peekNext(attempt.task.state, kind) !== undefined)
    step(table, set, attempt, kind, {
      atMs: boundTime(attempt, report.atMs, set),
      siteAtMs: report.atMs,
      detail: report.detail,
    });
  else if (isReworded(attempt.task, report)) reword(set, attempt.task, report.detail);
  else log.debug({ attempt: attempt.id, state: report.state }, 'a report is repeated');
  return [];
}

/**
 * A task still waits at its site, and the batch system has another reason for it, or says one only now; or its files have begun
 * to wait for something, or go on; or its gateway says how far it is.
 */
const isReworded = (task: TaskRecord, { state, detail }: Report): boolean =>
  task.state === state &&
  detail !== task.detail &&
  (REWORDED.includes(state) || (state === 'submitted' && detail !== ''));

const REWORDED: readonly JobState[] = ['staging-in', 'staging-out', 'running'];

/** The gateway's clock may be wrong; an attempt neither ends before it was placed nor in the future. */
const boundTime = (attempt: AttemptRecord, atMs: number, set: ChangeSet): number =>
  Math.min(Math.max(atMs, attempt.placedAtMs), set.nowMs);

function applyEnd(
  table: JobTable,
  set: ChangeSet,
  attempt: AttemptRecord,
  report: Report,
  log: Log,
): void {
  const { task, site } = attempt;
  const { outcome } = report;
  const atMs = boundTime(attempt, report.atMs, set);
  if (report.state === 'done') {
    closeAttempt(table, set, attempt, { state: 'done', atMs, outcome });
    endTask(table, set, task, 'finish');
  } else if (report.state === 'failed') {
    closeAttempt(table, set, attempt, { state: 'failed', atMs, outcome });
    applyFailure(table, set, attempt, outcome);
  } else if (report.state === 'cancelled') {
    closeAttempt(table, set, attempt, { state: 'cancelled', atMs, outcome });
    const why = attempt.evicted ?? {
      reason: outcome?.reason || 'SITE_CANCELLED',
      detail: outcome?.detail || report.detail || `${site} ended it on its own account`,
    };
    carryOut(table, set, attempt, judgeRelease(why, task.failures));
  } else {
    log.warn({ attempt: attempt.id, state: report.state }, 'a site reports a state of the broker');
  }
}

function applyFailure(
  table: JobTable,
  set: ChangeSet,
  attempt: AttemptRecord,
  outcome: Outcome | undefined,
): void {
  const { task, site } = attempt;
  const failure = outcome?.failure ?? 'site';
  const reason = outcome?.reason || 'UNEXPLAINED';
  const words = outcome?.detail || `${site} gave no reason`;
  // Whoever reads of the trouble of a site wants to know which, where the words do not say it.
  const detail = failure !== 'site' || words.includes(site) ? words : `${site}: ${words}`;
  const verdict = judge({ failure, reason, detail }, task.failures, policyOf(task));
  carryOut(table, set, attempt, verdict);
}

function policyOf(task: TaskRecord): RetryPolicy {
  const { retries, retryMemory: factor, ask } = task.job;
  if (factor === undefined) return { retries };
  const askedBytes = ask.resources.memoryBytes;
  const hadBytes = classOf(task).ask.resources.memoryBytes;
  return { retries, memory: { factor, askedBytes, hadBytes } };
}

/** An attempt of a site that is live, or that the broker has let go of while its task is open. */
export function attemptAt(
  { attempts, jobs }: JobTable,
  site: SiteId,
  id: AttemptId,
): AttemptRecord | undefined {
  const parts = parseAttemptId(id);
  const task = parts && jobs.get(parts.job)?.open.get(parts.ordinal);
  const known = attempts.get(id) ?? task?.released.find((attempt) => attempt.id === id);
  return known?.site === site ? known : undefined;
}

/** A report of an attempt that is not live in the broker's eyes. */
function applyLate(
  table: JobTable,
  set: ChangeSet,
  site: SiteId,
  report: Report,
  log: Log,
): readonly Superfluous[] {
  const { attemptId, state } = report;
  const late = attemptAt(table, site, attemptId);
  if (late !== undefined && state === 'done') {
    const atMs = boundTime(late, report.atMs, set);
    const { outcome } = report;
    const current = acceptLateResult(table, set, late, { state, atMs, outcome });
    log.info({ attempt: attemptId, site }, 'a late result counts');
    return current === undefined ? [] : [{ site: current.site, attemptId: current.id }];
  }
  log.info(
    { attempt: attemptId, site, state },
    'a report of an attempt that was let go is ignored',
  );
  return STEPS[state] === undefined ? [] : [{ site, attemptId }];
}
