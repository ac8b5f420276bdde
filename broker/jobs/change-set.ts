import type { TreeRef } from '../../core/data/manifest.ts';
import type { JobId } from '../../core/ids.ts';
import type { JobState } from '../../core/job/state.ts';
import { jobStateOf } from '../../core/job/summary.ts';
import type { ShareRecord } from '../../core/share/share-tree.ts';
import type { AttemptRow, EventRow, JobStateRow, LedgerSchema, TaskRow } from '../ledger/ledger.ts';
import { usageRow } from '../ledger/ledger-shares.ts';
import type { Change } from '../ledger/recorder.ts';
import {
  type AttemptRecord,
  formatOutcome,
  type JobRecord,
  type TaskRecord,
  treeRows,
} from './records.ts';

/** A line for the event log; what is left out is empty. */
interface NewEvent {
  readonly job: JobRecord;
  /** The task it is about; the whole job without one. */
  readonly ordinal?: number;
  readonly attempt?: AttemptRecord | undefined;
  readonly kind: string;
  readonly state: JobState;
  readonly reason?: string;
  readonly detail?: string;
}

/** Collects what a decision touched; the rows are made once, when all is decided. */
export interface ChangeSet {
  readonly nowMs: number;
  touchAsk(ask: LedgerSchema['asks']): void;
  touchJob(job: JobRecord): void;
  touchTask(task: TaskRecord): void;
  touchAttempt(attempt: AttemptRecord): void;
  /** The usage of a claimant has changed. */
  touchShare(leaf: ShareRecord): void;
  event(event: NewEvent): void;
  /** A tree that a task names from now on. */
  addTree(tree: TreeRef): void;
  /** A task names this tree no more; it goes unless something else does. */
  dropTree(digest: string): void;
  /** Digests of trees that may go once the rows are in the ledger. */
  readonly dropped: readonly string[];
  /** Runs `work` after the work that is being done: a chain of a thousand jobs is no chain of a thousand calls. */
  defer(work: () => void): void;
  /** Jobs of which anything changed. */
  readonly jobs: ReadonlySet<JobRecord>;
  /** The rows as they are now. */
  change(): Change;
}

/** Numbers the events; `last` is the highest number in the ledger. */
export function eventNumbers(last: number): () => number {
  let seq = last;
  return () => {
    seq += 1;
    return seq;
  };
}

export function openChange(nowMs: number, nextEvent: () => number): ChangeSet {
  const asks: LedgerSchema['asks'][] = [];
  const jobs = new Set<JobRecord>();
  const tasks = new Set<TaskRecord>();
  const attempts = new Set<AttemptRecord>();
  const shares = new Set<ShareRecord>();
  const events: EventRow[] = [];
  const trees: TreeRef[] = [];
  const dropped: string[] = [];
  const deferred: (() => void)[] = [];
  let draining = false;
  return {
    defer: (work) => {
      deferred.push(work);
      if (draining) return;
      draining = true;
      for (let due = deferred.shift(); due !== undefined; due = deferred.shift()) due();
      draining = false;
    },
    nowMs,
    jobs,
    touchAsk: (ask) => void asks.push(ask),
    touchJob: (job) => void jobs.add(job),
    touchTask: (task) => {
      tasks.add(task);
      jobs.add(task.job);
    },
    touchAttempt: (attempt) => void attempts.add(attempt),
    touchShare: (leaf) => void shares.add(leaf),
    addTree: (tree) => void trees.push(tree),
    dropTree: (digest) => void dropped.push(digest),
    dropped,
    event: ({ job, ordinal = -1, attempt, kind, state, reason = '', detail = '' }) => {
      jobs.add(job);
      events.push({
        seq: nextEvent(),
        at_ms: nowMs,
        job_id: job.id,
        ordinal,
        attempt_id: attempt?.id ?? '',
        kind,
        state,
        site: attempt?.site ?? '',
        reason,
        detail,
      });
    },
    change: () => ({
      asks,
      job_state: [...jobs].map(jobStateRow),
      tasks: [...tasks].map(taskRow),
      attempts: [...attempts].map(attemptRow),
      trees: [...trees, ...[...attempts].map(({ outcome }) => outcome?.outputs)].flatMap(treeRows),
      events,
      usage: [...shares].map(usageRow),
    }),
  };
}

/** Ids of the jobs of which anything changed. */
export const touchedIds = (set: ChangeSet): readonly JobId[] => [...set.jobs].map(({ id }) => id);

function jobStateRow(job: JobRecord): JobStateRow {
  return {
    job_id: job.id,
    state: jobStateOf(job.counts),
    reason: job.reason,
    detail: job.detail,
    next_ordinal: job.nextOrdinal,
    counts: JSON.stringify(job.counts),
    sites: JSON.stringify([...job.sites]),
    hold: job.hold === undefined ? null : JSON.stringify(job.hold),
    cancel_reason: job.cancelReason ?? null,
    ended_ms: job.endedAtMs ?? null,
    waits_for: JSON.stringify([...job.waitsFor]),
  };
}

function taskRow(task: TaskRecord): TaskRow {
  return {
    job_id: task.job.id,
    ordinal: task.ordinal,
    state: task.state,
    reason: task.reason,
    detail: task.detail,
    attempt_id: task.attempt?.id ?? '',
    attempts: task.attempts,
    job_failures: task.failures.job,
    site_failures: task.failures.site,
    data_failures: task.failures.data,
    releases: task.failures.releases,
    avoid: JSON.stringify(task.avoid),
    not_before_ms: task.notBeforeMs,
    ask_id: task.own?.askId ?? null,
    ended_ms: task.endedAtMs ?? null,
    live: task.live === undefined ? null : JSON.stringify(task.live),
    live_tree: task.live?.tree.digest ?? '',
  };
}

function attemptRow(attempt: AttemptRecord): AttemptRow {
  return {
    id: attempt.id,
    job_id: attempt.task.job.id,
    ordinal: attempt.task.ordinal,
    number: attempt.number,
    site: attempt.site,
    state: attempt.state,
    reason: attempt.reason,
    detail: attempt.detail,
    placed_ms: attempt.placedAtMs,
    started_ms: attempt.startedAtMs ?? null,
    ended_ms: attempt.endedAtMs ?? null,
    outcome: attempt.outcome === undefined ? null : formatOutcome(attempt.outcome),
    outputs: attempt.outcome?.outputs.digest ?? '',
  };
}
