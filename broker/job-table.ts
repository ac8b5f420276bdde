import type { AttemptId, JobId, SiteId, VoName } from '../core/ids.ts';
import { needOf } from '../core/match/need.ts';
import { addQueued, openShareTree, type ShareTree } from '../core/share/share-tree.ts';
import { type AskClasses, openAskClasses } from './ask-classes.ts';
import { type AskQueues, openAskQueues } from './ask-queues.ts';
import { openHolds } from './holds.ts';
import { type AttemptRecord, classOf, type JobRecord } from './records.ts';

/** The open jobs and the ways to find them. Records are changed by broker/moves.ts and broker/job-moves.ts only. */
export interface JobTable {
  readonly asks: AskClasses;
  readonly queues: AskQueues;
  readonly shares: ShareTree;
  readonly jobs: ReadonlyMap<JobId, JobRecord>;
  /** Attempts that a site has or may have. */
  readonly attempts: ReadonlyMap<AttemptId, AttemptRecord>;
  /** Live attempts at a site. */
  liveAt(site: SiteId): ReadonlySet<AttemptRecord>;
  /** VOs of the live attempts at a site; a site may have 10^5 of them, and it is asked for with every beacon. */
  vosAt(site: SiteId): readonly VoName[];
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

const NOBODY: ReadonlySet<AttemptRecord> = new Set();

export function openJobTable(
  shares: ShareTree = openShareTree(),
  asks = openAskClasses([], shares),
): JobTable {
  const jobs = new Map<JobId, JobRecord>();
  const attempts = new Map<AttemptId, AttemptRecord>();
  const bySite = new Map<SiteId, Set<AttemptRecord>>();
  const voCounts = new Map<SiteId, Map<VoName, number>>();
  const countVo = ({ site, task }: AttemptRecord, by: 1 | -1): void => {
    const counts = voCounts.get(site) ?? new Map<VoName, number>();
    voCounts.set(site, counts);
    const count = (counts.get(task.job.vo) ?? 0) + by;
    if (count > 0) counts.set(task.job.vo, count);
    else counts.delete(task.job.vo);
  };
  const dependents = new Map<JobId, Set<JobRecord>>();
  const named = openHolds();
  const naming = new Map<JobId, Disposable>();
  return {
    asks,
    queues: openAskQueues(),
    shares,
    jobs,
    attempts,
    liveAt: (site) => bySite.get(site) ?? NOBODY,
    vosAt: (site) => [...(voCounts.get(site)?.keys() ?? [])],
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
      const there = bySite.get(attempt.site) ?? new Set();
      bySite.set(attempt.site, there.add(attempt));
      countVo(attempt, 1);
      const { share, ask } = classOf(attempt.task);
      shares.place(share, needOf(ask.resources));
    },
    removeAttempt: (attempt) => {
      if (!attempts.delete(attempt.id)) return false;
      bySite.get(attempt.site)?.delete(attempt);
      countVo(attempt, -1);
      return true;
    },
  };
}
