import type { Account } from '../../accounts/account.ts';
import type { Capacity, LrmsTask, TaskUsage } from '../lrms.ts';

/**
 * A batch system that is driven by commands. Calls throw BatchSilence where it does not answer. Tasks are known to it as
 * elements of submissions: a submission has a token, which is its job's name, and its elements are numbered from 1.
 */
export interface BatchSystem {
  /** As people call it: `Slurm`. */
  readonly name: string;
  /** Whether it does not hear how much memory a task may have: the script beside the task sees to that then. */
  readonly leavesMemory?: boolean;
  /** How long it may take to tell how an element ended that it does not list any more; nothing where it is left out. */
  readonly settleMs?: number;
  /** Most tasks of one submission. */
  maxTasks(): number;
  submit(order: BatchOrder): Promise<SubmitAnswer>;
  /** Everything of these owners that waits or runs, and what the system has; one batched look. */
  poll(owners: JobOwners): Promise<BatchPoll>;
  /** What became of elements that the poll does not list any more; those that it has forgotten are left out. */
  autopsy(
    elements: readonly MissingElement[],
    owners: JobOwners,
  ): Promise<ReadonlyMap<string, BatchEnd>>;
  /** Sends a signal to jobs; TERM may be followed by KILL in the system's own time. */
  signal(jobs: readonly string[], signal: BatchSignal): Promise<void>;
  /**
   * Sends TERM to jobs that no look has shown yet, as far as they are what a submission's answer said: called after that, and of
   * that owner. Absent where commands cannot be told so.
   */
  signalUnseen?(jobs: readonly string[], token: string, uid: number): Promise<void>;
}

/** Least time between two looks, of two commands each: one in 2.5 s, however many jobs there are. */
export const POLL_MS = 5_000;

export type BatchSignal = 'TERM' | 'KILL';

/** Who runs jobs, as batch systems name them. */
export type JobOwner = Pick<Account, 'name' | 'uid'>;

/** Whose jobs the gateway looks for. Everybody can call a job as the gateway calls one of its own: that proves nothing. */
export interface JobOwners {
  all(): readonly JobOwner[];
  /** Whether a job that is called after a submission can be of it; so can all while the submission is not known. */
  isOwn(token: string, owner: Partial<JobOwner>): boolean;
}

/** A task's place: the `index`-th of the submission `token`. */
export interface Element {
  readonly token: string;
  readonly index: number;
}

/** An element that is not listed; `job` is '' where its job is not known. */
export interface MissingElement extends Element {
  readonly job: string;
}

export const keyOf = ({ token, index }: Element): string => `${token}.${index}`;
export const tokenOf = (key: string): string => key.slice(0, key.lastIndexOf('.'));

/** Tasks with equal needs that go in together. */
export interface BatchOrder {
  readonly token: string;
  /** The submission's own directory, where the job starts and its log goes to; the account can write there. */
  readonly directory: string;
  /** The batch script; its arguments are `directory` and, where there is no array, the number 1. */
  readonly script: string;
  readonly count: number;
  readonly needs: Needs;
  /** Whose job it is to be; the gateway's own where it is undefined. */
  readonly account?: Account | undefined;
  /** For people who look at the queue. */
  readonly comment: string;
}

/** What decides about a task's place in the batch system. */
export type Needs = Pick<
  LrmsTask,
  'queue' | 'cpus' | 'memoryBytes' | 'gpus' | 'gpuModel' | 'nodes' | 'walltimeMs' | 'licences'
>;

export type SubmitAnswer =
  /** `jobOf` names one element for `signal`. */
  | { readonly kind: 'submitted'; readonly jobOf: (index: number) => string }
  /** It will not have these tasks, now or later; the words are its own. */
  | { readonly kind: 'refused'; readonly words: string }
  /** It takes nothing more at the moment. */
  | { readonly kind: 'full'; readonly words: string };

/** One element as the batch system lists it. */
export interface BatchJob {
  readonly id: string;
  /** `suspended` where it has begun and stands still; `stuck` where it could not be started and the system leaves it at that. */
  readonly state: 'waits' | 'runs' | 'suspended' | 'stuck';
  /** Why it waits, in the system's own words. */
  readonly reason: string;
}

/** Of an element that was submitted twice the job that has begun counts. */
export const hasBegun = (job: BatchJob | undefined): boolean =>
  job?.state === 'runs' || job?.state === 'suspended';

export interface BatchPoll {
  /** By `keyOf`. */
  readonly jobs: ReadonlyMap<string, BatchJob>;
  readonly capacity: Capacity;
  /** Why the system, though it answers, takes nothing; '' while it does. */
  readonly closedReason: string;
}

/** How the batch system says that an element ended; `words` are its own. */
export interface BatchEnd {
  readonly kind:
    | 'ended'
    | 'not-begun'
    | 'cancelled'
    | 'walltime'
    | 'memory'
    | 'node-failed'
    | 'requeued';
  readonly words: string;
  readonly usage?: TaskUsage;
  /** It still stands in the system's list, and is to be removed from there. */
  readonly isListed?: boolean;
}
