import type { AttemptId, JobId } from '../../core/ids.ts';
import { needOf } from '../../core/match/need.ts';
import { addQueued, openShareTree, type ShareTree } from '../../core/share/share-tree.ts';
import { openHolds } from '../ledger/holds.ts';
import { type AskClasses, openAskClasses } from '../matching/ask-classes.ts';
import { type AskQueues, openAskQueues } from '../matching/ask-queues.ts';
import { type LiveAttempts, openLiveAttempts } from './live-attempts.ts';
import { type AttemptRecord, classOf, type JobRecord } from './records.ts';

/** The open jobs and the ways to find them. Records are changed by broker/jobs/moves.ts and broker/jobs/job-moves.ts only. */
export interface JobTable extends LiveAttempts {
  readonly asks: AskClasses;
  readonly queues: AskQueues;
  readonly shares: ShareTree;
  readonly jobs: ReadonlyMap<JobId, JobRecord>;
  /** Attempts that a site has or may have. */
  readonly attempts: ReadonlyMap<AttemptId, AttemptRecord>;
  /** Open jobs that wait for this one. */
  dependentsOf(job: JobId): readonly JobRecord[];
  /** Whether an open job comes after this one, settled or not, or takes its results. */
  isNamed(job: JobId): boolean;
  addJob(job: JobRecord): void;
  removeJob(job: JobRecord): void;
  addAttempt(attempt: AttemptRecord): void;
  /** Whether it was there. */
  removeAttempt(attempt: AttemptRecord): boolean;
}

export function openJobTable(
  shares: ShareTree = openShareTree(),
  asks = openAskClasses([], shares),
): JobTable {
  const jobs = new Map<JobId, JobRecord>();
  const attempts = new Map<AttemptId, AttemptRecord>();
  const { add, remove, ...live } = openLiveAttempts();
  const dependents = new Map<JobId, Set<JobRecord>>();
  const named = openHolds();
  const naming = new Map<JobId, Disposable>();
  return {
    asks,
    queues: openAskQueues(),
    shares,
    jobs,
    attempts,
    ...live,
    dependentsOf: (id) => [...(dependents.get(id) ?? [])],
    isNamed: (id) => named.has(id),
    addJob: (job) => {
      jobs.set(job.id, job);
      addQueued(job.share, job.counts.queued ?? 0);
      if (job.after.length > 0) naming.set(job.id, named.hold(job.after.map((other) => other.job)));
      for (const id of job.waitsFor) {
        const waiting = dependents.get(id) ?? new Set();
        dependents.set(id, waiting.add(job));
      }
    },
    removeJob: (job) => {
      jobs.delete(job.id);
      dependents.delete(job.id);
      naming.get(job.id)?.[Symbol.dispose]();
      naming.delete(job.id);
      for (const id of job.waitsFor) dependents.get(id)?.delete(job);
    },
    addAttempt: (attempt) => {
      attempts.set(attempt.id, attempt);
      add(attempt);
      const { share, ask } = classOf(attempt.task);
      shares.place(share, needOf(ask.resources));
    },
    removeAttempt: (attempt) => {
      if (!attempts.delete(attempt.id)) return false;
      remove(attempt);
      return true;
    },
  };
}
