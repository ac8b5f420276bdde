import type { FailureKind, Outcome } from '../job/outcome.ts';

/** How often a task has failed before. */
export interface FailureCounts {
  /** Failures of the program itself. */
  readonly job: number;
  /** Failures of sites and of data on the way. */
  readonly site: number;
}

/** What to do about a failed attempt. */
export type RetryVerdict =
  | {
      readonly kind: 'retry';
      /** Whether another site should have it next. */
      readonly elsewhere: boolean;
      readonly counts: FailureCounts;
      readonly delayMs: number;
    }
  | {
      readonly kind: 'fail';
      readonly reason: string;
      readonly detail: string;
      readonly counts: FailureCounts;
    };

/** Failures of sites and of data that a task survives; they do not count against the job's own `retries`. */
export const SITE_FAILURE_BUDGET = 5;

/** The longest pause before another try. */
export const MAX_RETRY_DELAY_MS = 60_000;

/** Pause before the n-th further try (n from 1): the first goes at once, then 0.5 s, 1 s, 2 s ... up to a minute. */
export const retryDelayMs = (n: number): number =>
  n <= 1 ? 0 : Math.min(MAX_RETRY_DELAY_MS, 500 * 2 ** (n - 2));

/** Decides about a failed attempt; `retries` is the job's own setting. A limit that the job set is never retried. */
export function judge(
  failure: Pick<Outcome, 'reason' | 'detail'> & { readonly failure: FailureKind },
  before: FailureCounts,
  retries: number,
): RetryVerdict {
  const { reason, detail } = failure;
  if (failure.failure === 'limit') return { kind: 'fail', reason, detail, counts: before };
  if (failure.failure === 'job') {
    const counts = { ...before, job: before.job + 1 };
    if (counts.job > retries) return { kind: 'fail', reason, detail, counts };
    return { kind: 'retry', elsewhere: false, counts, delayMs: retryDelayMs(counts.job) };
  }
  const counts = { ...before, site: before.site + 1 };
  if (counts.site <= SITE_FAILURE_BUDGET)
    return { kind: 'retry', elsewhere: true, counts, delayMs: retryDelayMs(counts.site) };
  const words = `gave up after ${counts.site} failures of sites or data, the last: ${detail}`;
  return { kind: 'fail', reason, detail: words, counts };
}
