/**
 * Keeps tasks away from a site that fails them at once: it would have a new one sooner than any site that works, and so
 * get most of them. The evidence is attempts in a row of more than one job (or of one that does well elsewhere), so that
 * a broken job does not close a site. After a pause one task is let in; if it does well the site is trusted as before,
 * else the pause doubles.
 */
import type { JobId } from '../ids.ts';
import type { FailureKind } from '../job/outcome.ts';
import { formatDuration } from '../units.ts';

/** How a site has done since it last did well. */
export interface Conduct {
  /** Attempts in a row that failed there at once. */
  readonly failures: number;
  /** One of the jobs that they were of. */
  readonly job?: JobId;
  /** Whether they were of more than one job, or of one that does well elsewhere. */
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
  /** From start to end; 0 where it never started. */
  readonly ranMs: number;
}

/** What an attempt says of its site: its program has run, or the site failed it at once, or nothing. */
export function speaksOf({ failure, ranMs }: Ended): 'well' | 'badly' | 'nothing' {
  if (failure === undefined || failure === 'job' || failure === 'limit') return 'well';
  return failure === 'site' && ranMs < AT_ONCE_MS ? 'badly' : 'nothing';
}

/** Which attempt failed at once, and why. */
export interface Evidence {
  readonly job: JobId;
  /** Whether other tasks of the job do well at other sites. */
  readonly doesWellElsewhere: boolean;
  readonly why: string;
}

/** After one more failure. Of a site in quarantine only the task that was let in to try it counts. */
export function noteFailure(before: Conduct, evidence: Evidence, nowMs: number): Conduct {
  const { job, doesWellElsewhere, why } = evidence;
  const failures = before.failures + 1;
  const isSitesFault =
    before.isSitesFault || doesWellElsewhere || (before.job !== undefined && before.job !== job);
  const after = { failures, job, isSitesFault };
  if (before.quarantine === undefined && (failures < MOST_FAILURES || !isSitesFault)) return after;
  const times = (before.quarantine?.times ?? 0) + 1;
  const pauseMs = Math.min(MAX_QUARANTINE_MS, FIRST_QUARANTINE_MS * 2 ** (times - 1));
  const words = `${failures} attempts in a row failed there at once, the last: ${why}`;
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
