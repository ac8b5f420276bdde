/**
 * Keeps tasks away from a site that fails them at once: it would have a new one sooner than any site that works, and so
 * get most of them. The evidence is attempts in a row of more than one job (or of one that does well elsewhere), so that
 * a broken job does not close a site. What jobs bring upon themselves is none, and what they may have brought upon
 * themselves is only where jobs of more than one person met it. After a pause one task is let in; if it does well the
 * site is trusted as before, else the pause doubles.
 */
import { ERRORS } from '../error-codes.ts';
import { isErrorCode } from '../errors.ts';
import type { Dn, JobId } from '../ids.ts';
import type { FailureKind } from '../job/outcome.ts';
import { formatDuration } from '../units.ts';

/** How a site has done since it last did well. */
export interface Conduct {
  /** Attempts in a row that failed there at once. */
  readonly failures: number;
  /** One of the jobs that they were of. */
  readonly job?: JobId;
  /** Whose job that is. */
  readonly owner?: Dn;
  /** Whether they were of more than one job (of more than one person, if they are doubtful), or of one that does well elsewhere. */
  readonly isSitesFault: boolean;
  readonly quarantine?: Quarantine;
}

interface Quarantine {
  readonly why: string;
  /** How often in a row it has been found to fail. */
  readonly times: number;
  /** When a task is let in. */
  readonly untilMs: number;
}

export const GOOD_CONDUCT: Conduct = { failures: 0, isSitesFault: false };

/** Attempts in a row after which a site is quarantined. */
const MOST_FAILURES = 5;
/** An attempt that ran for longer has not failed at once. */
const AT_ONCE_MS = 30_000;
const FIRST_QUARANTINE_MS = 60_000;
export const MAX_QUARANTINE_MS = 3_600_000;

/** An attempt that has ended, as far as it says anything of its site. */
export interface Ended {
  /** Undefined where it ended well. */
  readonly failure: FailureKind | undefined;
  /** Stable code of the failure. */
  readonly reason: string;
  /** From start to end; 0 where it never started. */
  readonly ranMs: number;
}

/** Codes of what a job's own document brings about at any site: an image that does not start, a demand that no offer meets. */
const OF_JOBS: ReadonlySet<string> = new Set([
  'IMAGE_FAILED',
  'MODULE_FAILED',
  'MODULE_MISSING',
  'IMAGE_DENIED',
  'SPEC_INVALID',
  'TOO_LARGE',
  'SANDBOX_MISSING',
  'FETCH_REFUSED',
  'VO_DENIED',
  'NO_ACCOUNT',
  'POLICY_DENIED',
]);

/** Codes of what a site does to jobs, and some jobs to themselves: they kill what watches them, or ask what no queue gives. */
const DOUBTFUL: ReadonlySet<string> = new Set([
  'SITE_REFUSED',
  'TASK_VANISHED',
  'GATEWAY_ERROR',
  'DISK_FULL',
]);

/** Whether a failure or a refusal is about the job, whatever the site. */
export const isOfJob = (reason: string): boolean =>
  OF_JOBS.has(reason) || (isErrorCode(reason) && ERRORS[reason].status === 'INVALID_ARGUMENT');

/** What an attempt says of its site: its program has run, or the site failed it at once, or nothing. */
export function speaksOf({ failure, reason, ranMs }: Ended): 'well' | 'badly' | 'nothing' {
  if (failure === undefined || failure === 'job' || failure === 'limit') return 'well';
  return failure === 'site' && ranMs < AT_ONCE_MS && !isOfJob(reason) ? 'badly' : 'nothing';
}

/** Which attempt failed at once, and why. */
export interface Evidence {
  readonly job: JobId;
  readonly owner: Dn;
  /** Whether other tasks of the job do well at other sites. */
  readonly doesWellElsewhere: boolean;
  /** Stable code. */
  readonly reason: string;
  readonly detail: string;
}

/** After one more failure. Of a site in quarantine only the task that was let in to try it counts. */
export function noteFailure(before: Conduct, evidence: Evidence, nowMs: number): Conduct {
  const { job, owner, doesWellElsewhere, reason, detail } = evidence;
  const failures = before.failures + 1;
  const isAnother = DOUBTFUL.has(reason)
    ? before.owner !== undefined && before.owner !== owner
    : before.job !== undefined && before.job !== job;
  const isSitesFault = before.isSitesFault || doesWellElsewhere || isAnother;
  const after = { failures, job, owner, isSitesFault };
  if (before.quarantine === undefined && (failures < MOST_FAILURES || !isSitesFault)) return after;
  const times = (before.quarantine?.times ?? 0) + 1;
  const pauseMs = Math.min(MAX_QUARANTINE_MS, FIRST_QUARANTINE_MS * 2 ** (times - 1));
  const words = `${failures} attempts in a row failed there at once, the last: ${reason}: ${detail}`;
  return { ...after, quarantine: { why: words, times, untilMs: nowMs + pauseMs } };
}

/** How long a site is still left alone; 0 when it may be tried. No pause is longer than the longest, whatever the clock does. */
export function leftAloneMs({ untilMs }: Quarantine, nowMs: number): number {
  const leftMs = untilMs - nowMs;
  return leftMs > MAX_QUARANTINE_MS ? 0 : Math.max(0, leftMs);
}

/** The words for it. */
export function quarantineText(quarantine: Quarantine, nowMs: number): string {
  const leftMs = leftAloneMs(quarantine, nowMs);
  const next = leftMs > 0 ? `it is tried again in ${formatDuration(leftMs)}` : 'it is being tried';
  return `${quarantine.why}; ${next}, with one task`;
}
