import {
  GOOD_CONDUCT,
  isOfJob,
  leftAloneMs,
  noteFailure,
  quarantineText,
  speaksOf,
} from '../../core/match/quarantine.ts';
import type { SiteView } from '../../core/match/site-view.ts';
import type { Log } from '../../service/log.ts';
import type { JobTable } from '../jobs/job-table.ts';
import type { AttemptRecord, JobRecord, Why } from '../jobs/records.ts';
import type { SiteRecord } from './site-registry.ts';

/** Refusals that say nothing against a site: it is full, or it has said that it is closed. */
const HARMLESS: ReadonlySet<string> = new Set(['SITE_FULL', 'SITE_CLOSED']);

/** What the end of an attempt says of its site; to be told once, when the end is recorded. */
export function noteEnd(site: SiteRecord, attempt: AttemptRecord, nowMs: number, log: Log): void {
  if (!counts(site, attempt)) return;
  const word = wordOf(attempt);
  if (word === 'badly') noteBad(site, attempt, attempt, nowMs, log);
  if (word !== 'well') return;
  if (site.conduct.quarantine !== undefined) log.info({ site: site.id }, 'site is trusted again');
  trust(site);
}

function wordOf({ state, outcome, startedAtMs, endedAtMs }: AttemptRecord): string {
  if (state !== 'done' && state !== 'failed') return 'nothing';
  const failure = state === 'done' ? undefined : (outcome?.failure ?? 'site');
  const ranMs = (endedAtMs ?? 0) - (startedAtMs ?? endedAtMs ?? 0);
  return speaksOf({ failure, reason: outcome?.reason ?? '', ranMs });
}

/** What it says of a site that it has refused an attempt. */
export function noteRefusal(
  site: SiteRecord,
  attempt: AttemptRecord,
  why: Why,
  nowMs: number,
  log: Log,
): void {
  if (!counts(site, attempt) || HARMLESS.has(why.reason) || isOfJob(why.reason)) return;
  noteBad(site, attempt, why, nowMs, log);
}

/** Forgets whatever was held against a site. */
export function trust(site: SiteRecord): void {
  site.conduct = GOOD_CONDUCT;
  delete site.probe;
}

/** What a round has to know of it. */
export function quarantineOf(
  { conduct: { quarantine }, probe }: SiteRecord,
  table: JobTable,
  nowMs: number,
): Pick<SiteView, 'quarantined' | 'probe'> {
  if (quarantine === undefined) return {};
  const isProbed = probe !== undefined && table.attempts.has(probe.id);
  return {
    quarantined: quarantineText(quarantine, nowMs),
    probe: leftAloneMs(quarantine, nowMs) === 0 && !isProbed,
  };
}

/** What was there before a site was quarantined is no try of it. */
const counts = ({ conduct, probe }: SiteRecord, attempt: AttemptRecord): boolean =>
  conduct.quarantine === undefined || probe === attempt;

function noteBad(
  site: SiteRecord,
  { task: { job } }: AttemptRecord,
  { reason, detail }: Why,
  nowMs: number,
  log: Log,
): void {
  const { id, owner } = job;
  const evidence = { job: id, owner, doesWellElsewhere: doesWellElsewhere(job), reason, detail };
  site.conduct = noteFailure(site.conduct, evidence, nowMs);
  delete site.probe;
  if (site.conduct.quarantine !== undefined)
    log.warn({ site: site.id, why: site.conduct.quarantine.why }, 'site is quarantined');
}

/** Some of its tasks run or are done, and it has been at another site, too: it is not the job that is broken. */
const doesWellElsewhere = ({ counts: { done = 0, running = 0 }, sites }: JobRecord): boolean =>
  sites.size > 1 && done + running > 0;
