import type { FailureKind, Outcome } from '../job/outcome.ts';
import { counted, formatBytes } from '../units.ts';

/** How often a task has come back before, since it was submitted, released by hand or retried by hand. */
export interface FailureCounts {
  /** Failures of the program itself. */
  readonly job: number;
  /** Failures of sites. */
  readonly site: number;
  /** Failures of data on the way. */
  readonly data: number;
  /** Attempts that were let go without a failure: a site was lost, refused it, or wanted its machine for itself. */
  readonly releases: number;
}

export const NO_FAILURES: FailureCounts = { job: 0, site: 0, data: 0, releases: 0 };

/** What the job says about further tries of its tasks. */
export interface RetryPolicy {
  readonly retries: number;
  /** Present where the job lets its memory grow. */
  readonly memory?: RetryMemory;
}

/** How memory grows. */
interface RetryMemory {
  readonly factor: number;
  /** What the job asked for, and what the attempt had. */
  readonly askedBytes: number;
  readonly hadBytes: number;
}

/** A failed attempt, or one that was let go. */
export interface Failure extends Pick<Outcome, 'reason' | 'detail'> {
  readonly failure: FailureKind;
}

/** What to do about it; `reason` and `detail` are the task's from now on. */
export interface RetryVerdict extends Pick<Outcome, 'reason' | 'detail'> {
  readonly kind: 'retry' | 'hold' | 'fail';
  readonly counts: FailureCounts;
  /** Whether another site should have it next. */
  readonly elsewhere: boolean;
  readonly delayMs: number;
  /** What the next attempt gets, where that is not what this one had. */
  readonly memoryBytes?: number;
}

/** Failures of sites, and as many of data, that a task survives; they do not count against the job's own `retries`. */
export const SITE_FAILURE_BUDGET = 5;
export const DATA_FAILURE_BUDGET = 5;
/** How often a task is let go before a person has to look at it. */
export const RELEASE_BUDGET = 100;
/** Memory grows up to this many times what the job asked for. */
export const MAX_MEMORY_FACTOR = 8;
/** The least growth, so that few tries reach the most. */
export const MIN_RETRY_MEMORY = 1.1;

/** The longest pause before another try. */
export const MAX_RETRY_DELAY_MS = 60_000;

/** Pause before the n-th further try (n from 1): the first goes at once, then 0.5 s, 1 s, 2 s ... up to a minute. */
export const retryDelayMs = (n: number): number =>
  n <= 1 ? 0 : Math.min(MAX_RETRY_DELAY_MS, 500 * 2 ** (n - 2));

type Judge = (failure: Failure, before: FailureCounts, policy: RetryPolicy) => RetryVerdict;

const retry = (
  { reason, detail }: Failure,
  counts: FailureCounts,
  n: number,
  elsewhere: boolean,
): RetryVerdict => ({ kind: 'retry', reason, detail, counts, elsewhere, delayMs: retryDelayMs(n) });

const end = (
  kind: 'hold' | 'fail',
  reason: string,
  detail: string,
  counts: FailureCounts,
): RetryVerdict => ({ kind, reason, detail, counts, elsewhere: false, delayMs: 0 });

/** One judge for each class: docs/jobs.md has the table. What only a person can mend is held, the rest ends. */
const JUDGES: Readonly<Record<FailureKind, Judge>> = {
  job: (failure, before, { retries }) => {
    const counts = { ...before, job: before.job + 1 };
    return counts.job > retries
      ? end('fail', failure.reason, failure.detail, counts)
      : retry(failure, counts, counts.job, false);
  },
  limit: (failure, before, { memory }) => {
    const { reason, detail } = failure;
    if (reason !== 'MEMORY_EXCEEDED' || memory === undefined)
      return end('fail', reason, detail, before);
    const memoryBytes = raisedBytes(memory);
    if (memoryBytes > memory.hadBytes) return { ...retry(failure, before, 1, false), memoryBytes };
    const most = `${formatBytes(memory.hadBytes)} is ${MAX_MEMORY_FACTOR} times what the job asked for, and the most`;
    return end('fail', reason, `${detail}; ${most}`, before);
  },
  site: (failure, before) => {
    const counts = { ...before, site: before.site + 1 };
    if (counts.site <= SITE_FAILURE_BUDGET) return retry(failure, counts, counts.site, true);
    const words = `gave up after ${counted(counts.site, 'failure')} of sites, the last: ${failure.detail}`;
    return end('fail', failure.reason, words, counts);
  },
  data: (failure, before) => {
    const counts = { ...before, data: before.data + 1 };
    if (counts.data <= DATA_FAILURE_BUDGET) return retry(failure, counts, counts.data, true);
    const words = `gave up after ${counted(counts.data, 'failure')} of data, the last: ${failure.reason}: ${failure.detail}`;
    return end('hold', 'DATA_UNAVAILABLE', words, counts);
  },
  credential: ({ detail }, before) => end('hold', 'CREDENTIAL_EXPIRED', detail, before),
  owner: (failure, before) => judgeRelease(failure, before),
};

/** Decides about a failed attempt. */
export const judge: Judge = (failure, before, policy) =>
  JUDGES[failure.failure](failure, before, policy);

/** Decides about an attempt that was let go without a failure: it costs no budget but that of all such attempts. */
export function judgeRelease(
  { reason, detail }: Pick<Outcome, 'reason' | 'detail'>,
  before: FailureCounts,
): RetryVerdict {
  const counts = { ...before, releases: before.releases + 1 };
  if (counts.releases <= RELEASE_BUDGET)
    return retry({ failure: 'site', reason, detail }, counts, counts.releases, true);
  const words = `it came back from sites ${counted(counts.releases, 'time')}, the last: ${reason}: ${detail}`;
  return end('hold', 'RELEASED_TOO_OFTEN', words, counts);
}

/** Whole MiB, so that growth makes few ask classes. */
function raisedBytes({ factor, askedBytes, hadBytes }: RetryMemory): number {
  const wanted = Math.ceil((hadBytes * factor) / 2 ** 20) * 2 ** 20;
  return Math.min(wanted, askedBytes * MAX_MEMORY_FACTOR);
}
