import { jobStateOf } from '../../core/job/summary.ts';
import { NO_FAILURES } from '../../core/retry/retry.ts';
import type { ChangeSet } from './change-set.ts';
import type { JobTable } from './job-table.ts';
import { countFresh, move } from './moves.ts';
import { addTask, type JobRecord, type TaskRecord, type Why } from './records.ts';

/** Keeps what waits of a job where it is; what is at a site runs on. Held again, it is held for the new reason. */
export function holdJob(set: ChangeSet, job: JobRecord, why: Why): void {
  if (job.hold === undefined) countFresh(job, 'queued', 'held');
  job.hold = why;
  for (const task of job.open.values()) if (task.state === 'queued') move(set, task, 'hold', why);
  tell(set, job, 'hold-job', why);
}

/** Lets a held job and its held tasks wait for a site again, whoever held them; their budgets begin anew. */
export function unholdJob(table: JobTable, set: ChangeSet, job: JobRecord, by: string): void {
  if (job.hold !== undefined) countFresh(job, 'held', 'queued');
  delete job.hold;
  for (const task of job.open.values())
    if (task.state === 'held') queueAnew(table, set, task, 'unhold');
  tell(set, job, 'release-job', { reason: '', detail: by });
}

/**
 * Opens a job again for tasks of it that have ended, and, where it was cancelled before all its tasks had begun, for
 * those that had not. `job` is open already, or was read from the ledger.
 */
export function retryTasks(
  table: JobTable,
  set: ChangeSet,
  job: JobRecord,
  tasks: readonly TaskRecord[],
  by: string,
): void {
  const isNew = !table.jobs.has(job.id);
  // Before anything of it waits again: what waits then is counted as it comes.
  if (isNew) table.addJob(job);
  if (job.cancelReason !== undefined) {
    countFresh(job, 'cancelled', 'queued');
    delete job.cancelReason;
  }
  if (isNew && job.waitsFor.size === 0) table.queues.addJob(job);
  for (const task of tasks) {
    addTask(job, task);
    queueAnew(table, set, task, 'retry');
  }
  tell(set, job, 'retry-job', { reason: '', detail: by });
}

function queueAnew(
  table: JobTable,
  set: ChangeSet,
  task: TaskRecord,
  kind: 'unhold' | 'retry',
): void {
  task.failures = NO_FAILURES;
  task.avoid = [];
  task.notBeforeMs = 0;
  move(set, task, kind);
  table.queues.addTask(task);
}

/** The job speaks of this from now on. */
function tell(set: ChangeSet, job: JobRecord, kind: string, { reason, detail }: Why): void {
  job.reason = reason;
  job.detail = reason === '' ? '' : detail;
  set.event({ job, kind, state: jobStateOf(job.counts), reason, detail });
}
