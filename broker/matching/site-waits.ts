import {
  expectedWaitMs,
  NONE_SEEN,
  noteStart,
  type WaitKind,
  type Way,
  waitKindOf,
} from '../../core/match/waits.ts';
import { type AttemptRecord, classOf, type WaitTally } from '../jobs/records.ts';

/**
 * How long tasks wait in the batch system of a site. It is not in the ledger: what counts is of the last minutes, and
 * after a restart the tasks that wait are known again.
 */
export interface SiteWaits {
  /** A task waits in the batch system; `siteAtMs` is the gateway's clock, where it is known since when. */
  queue(attempt: AttemptRecord, siteAtMs: number | undefined, nowMs: number): void;
  /** It has started. */
  start(attempt: AttemptRecord, siteAtMs: number, nowMs: number): void;
  /** It is there no more, started or not. */
  leave(attempt: AttemptRecord): void;
  /** How long one more task is expected to wait; `ownMs` is what the site says. */
  expectedMs(kind: WaitKind, way: Way, ownMs: number, nowMs: number): number;
}

export function openSiteWaits(): SiteWaits {
  const tallies = new Map<string, WaitTally>();
  const tallyOf = (attempt: AttemptRecord): WaitTally => {
    const { resources } = classOf(attempt.task).ask;
    const name = `${attempt.waiting ? 'wait' : 'start'} ${waitKindOf(resources)}`;
    const known = tallies.get(name) ?? { seen: NONE_SEEN, queued: 0, sinceMs: 0 };
    tallies.set(name, known);
    return known;
  };
  const leave = (attempt: AttemptRecord): void => {
    if (attempt.queued !== undefined) attempt.queued.tally.queued -= 1;
    delete attempt.queued;
  };
  return {
    queue: (attempt, siteAtMs, nowMs) => {
      if (attempt.queued !== undefined) return;
      const tally = tallyOf(attempt);
      if (tally.queued === 0) tally.sinceMs = nowMs;
      tally.queued += 1;
      attempt.queued = { tally, siteAtMs };
    },
    start: (attempt, siteAtMs, nowMs) => {
      const { queued } = attempt;
      const tally = queued?.tally ?? tallyOf(attempt);
      leave(attempt);
      tally.sinceMs = nowMs;
      // Of a task that waited before the broker did it is not known for how long.
      if (queued !== undefined && queued.siteAtMs === undefined) return;
      const waitedMs = siteAtMs - (queued?.siteAtMs ?? siteAtMs);
      tally.seen = noteStart(tally.seen, Math.min(waitedMs, nowMs - attempt.placedAtMs), nowMs);
    },
    leave,
    expectedMs: (kind, way, ownMs, nowMs) => {
      const { seen, queued, sinceMs } = tallies.get(`${way} ${kind}`) ?? {
        seen: NONE_SEEN,
        queued: 0,
        sinceMs: 0,
      };
      const stalledMs = queued === 0 ? 0 : Math.max(0, nowMs - sinceMs);
      return expectedWaitMs({ way, seen, stalledMs, ownMs }, nowMs);
    },
  };
}
