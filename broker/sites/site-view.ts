import { add, NO_NEED, needOf } from '../../core/match/need.ts';
import type { Backlogged, Run, SiteStatus, SiteView } from '../../core/match/site-view.ts';
import type { JobTable } from '../jobs/job-table.ts';
import { type AttemptRecord, classOf } from '../jobs/records.ts';
import { quarantineOf } from './site-conduct.ts';
import type { SiteRecord } from './site-registry.ts';

/** Whether work goes to it. */
function statusOf(site: SiteRecord): SiteStatus {
  if (site.link !== 'up') return site.link;
  return site.wanted === 'draining' ? 'draining' : 'up';
}

/** The site as a round sees it. */
export function viewOf(site: SiteRecord, table: JobTable, nowMs: number): SiteView {
  let reserved = NO_NEED;
  for (const attempt of site.unreflected) {
    if (!table.attempts.has(attempt.id)) {
      site.unreflected.delete(attempt);
      continue;
    }
    reserved = add(reserved, needOf(classOf(attempt.task).ask.resources));
  }
  const live = table.liveAt(site.id);
  const { id, offer } = site;
  return {
    id,
    status: statusOf(site),
    reserved,
    waiting: table.waitingAt(id),
    waitMs: (kind, way) =>
      table.waitsAt(id).expectedMs(kind, way, offer?.expectedWaitMs ?? 0, nowMs),
    runs: { [Symbol.iterator]: () => runsOf(live, nowMs) },
    backlogged: { [Symbol.iterator]: () => backlogOf(live) },
    ...quarantineOf(site, table, nowMs),
    // Nothing is placed before the lists of both sides have been compared.
    ...(offer === undefined || site.link === 'unknown' ? {} : { offer }),
  };
}

/** Only for a round that asks. Nothing runs for longer than its walltime from now on, even if the clock has gone back. */
function* runsOf(live: ReadonlySet<AttemptRecord>, nowMs: number): Generator<Run> {
  for (const { waiting, startedAtMs, placedAtMs, task } of live) {
    const { resources } = classOf(task).ask;
    const sinceMs = Math.min(nowMs, startedAtMs ?? placedAtMs);
    if (!waiting) yield { endsByMs: sinceMs + resources.walltimeMs, need: needOf(resources) };
  }
}

/** Attempts are kept in the order in which they were placed. */
function* backlogOf(live: ReadonlySet<AttemptRecord>): Generator<Backlogged> {
  for (const { waiting, task } of live) {
    const { resources } = classOf(task).ask;
    if (waiting) yield { need: needOf(resources), walltimeMs: resources.walltimeMs };
  }
}
