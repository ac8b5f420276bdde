import type { JobId } from '../core/ids.ts';
import { REMEDIES } from '../core/job/reasons.ts';
import { isFinal } from '../core/job/state.ts';
import { formatAdvice } from '../core/match/advice.ts';
import type { SiteVerdict, WhyJobResponse } from '../proto/gen/grid/v1/broker.ts';
import { stateFromWire } from '../service/wire.ts';
import { readSummary } from './listing.ts';
import { type Outlook, type OutlookParts, outlookFor } from './outlook.ts';
import type { JobRecord } from './records.ts';
import type { SiteRegistry } from './site-registry.ts';
import { answerFor, ended, placesOf } from './why-answer.ts';

const NOTHING: Omit<WhyJobResponse, 'summary' | 'answer'> = {
  sites: [],
  tasksAhead: 0,
  waitsFor: [],
  advice: [],
  changes: [],
  turns: [],
  ownTasksAhead: 0,
  expectedStart: undefined,
  notBeforeMs: 0,
};

/** Why a job is where it is. */
export async function whyJob(parts: OutlookParts, id: JobId): Promise<WhyJobResponse> {
  const { book, sites } = parts;
  const summary = await readSummary(book, id);
  const job = book.table.jobs.get(id);
  const state = stateFromWire(summary.state);
  if (job === undefined || isFinal(state))
    return { ...NOTHING, summary, answer: ended(summary, state) };
  const outlook = outlookFor(parts, { ...job, key: String(job.askId) });
  const notBeforeMs = pauseOf(job, book.clock.nowMs());
  const answer = answerFor(job, state, outlook, notBeforeMs);
  const common = { ...NOTHING, summary, answer, waitsFor: [...job.waitsFor], notBeforeMs };
  if ((job.counts.queued ?? 0) > 0) {
    const said = outlookToWire(outlook, sites);
    return job.waitsFor.size === 0
      ? { ...common, ...said }
      : { ...common, sites: said.sites, advice: [...first(job.waitsFor)] };
  }
  return { ...common, sites: placesToWire(job, sites), advice: remedies(job) };
}

const first = (jobs: ReadonlySet<JobId>): readonly string[] =>
  [...jobs].slice(0, 1).map((id) => `see \`grid why ${id}\``);

/** When the first of its waiting tasks is tried again, where all of them pause; else 0. */
function pauseOf(job: JobRecord, nowMs: number): number {
  if (job.nextOrdinal < job.tasks) return 0;
  const waiting = [...job.open.values()].filter(({ state }) => state === 'queued');
  const untilMs = Math.min(...waiting.map(({ notBeforeMs }) => notBeforeMs));
  return waiting.length > 0 && untilMs > nowMs ? untilMs : 0;
}

/** What a person can do about tasks that are held, each thing once. */
function remedies(job: JobRecord): string[] {
  const held = [...job.open.values()].filter(({ state }) => state === 'held');
  const reasons = new Set([job.hold?.reason ?? '', ...held.map(({ reason }) => reason)]);
  return [...reasons].flatMap((reason) => REMEDIES[reason]?.replace('ID', job.id) ?? []);
}

/** The sites where it is. */
const placesToWire = (job: JobRecord, sites: SiteRegistry): SiteVerdict[] =>
  [...placesOf(job)].map(([site, attempts]) => ({
    site,
    matches: true,
    refusal: '',
    detail: attempts.length === 1 ? 'it is there' : `${attempts.length} of its tasks are there`,
    lastHeardAtMs: sites.get(site)?.lastHeardAtMs ?? 0,
  }));

function outlookToWire(outlook: Outlook, sites: SiteRegistry) {
  const { verdicts, advice, turns, ahead, start } = outlook;
  return {
    sites: [...verdicts].map(([site, refusal]) => ({
      site,
      matches: refusal === undefined,
      refusal: refusal?.code ?? '',
      detail: refusal?.detail ?? '',
      lastHeardAtMs: sites.get(site)?.lastHeardAtMs ?? 0,
    })),
    advice:
      verdicts.size === 0
        ? ['ask an administrator of the grid to enrol a site']
        : advice.map(formatAdvice),
    changes: advice.map(({ changes, sites: takers, startsNow }) => ({
      changes: [...changes],
      sites: [...takers],
      startsNow,
    })),
    turns: [...turns],
    tasksAhead: ahead.tasks,
    ownTasksAhead: ahead.own,
    expectedStart: start,
  };
}
