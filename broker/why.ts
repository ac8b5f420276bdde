import type { JobId, SiteId } from '../core/ids.ts';
import { REMEDIES } from '../core/job/reasons.ts';
import { isActive, isFinal, type JobState } from '../core/job/state.ts';
import { taskCountsOf } from '../core/job/summary.ts';
import { adviceFor, formatAdvice } from '../core/match/advice.ts';
import type { Ask, Rules } from '../core/match/ask.ts';
import type { Refusal, SiteView } from '../core/match/refusal.ts';
import { verdicts } from '../core/match/verdicts.ts';
import type { JobSummary, WhyJobResponse } from '../proto/gen/grid/v1/broker.ts';
import { stateFromWire } from '../service/wire.ts';
import type { Book } from './book.ts';
import { readSummary } from './listing.ts';
import type { JobRecord } from './records.ts';
import { type SiteRegistry, viewOf } from './site-registry.ts';

interface Parts {
  readonly book: Book;
  readonly sites: SiteRegistry;
  readonly rules: Rules;
}

type Verdicts = ReadonlyMap<SiteId, Refusal | undefined>;

/** Why a job is where it is; the checks are those of the scheduling rounds, run on the sites as they are now. */
export async function whyJob({ book, sites, rules }: Parts, id: JobId): Promise<WhyJobResponse> {
  const summary = await readSummary(book, id);
  const job = book.table.jobs.get(id);
  const state = stateFromWire(summary.state);
  const empty = { summary, sites: [], tasksAhead: 0, waitsFor: [], advice: [] };
  if (job === undefined || isFinal(state)) return { ...empty, answer: ended(summary, state) };
  const views = [...sites.values()].map((site) => viewOf(site, book.table, book.clock.nowMs()));
  const found = verdicts(job.ask, views, rules);
  const waits = (job.counts.queued ?? 0) > 0;
  const tasksAhead = waits ? book.table.queues.tasksAhead(job.seq) : 0;
  return {
    summary,
    answer: answerFor(job, state, found, tasksAhead),
    sites: [...found].map(([site, refusal]) => ({
      site,
      matches: refusal === undefined,
      refusal: refusal?.code ?? '',
      detail: refusal?.detail ?? '',
    })),
    tasksAhead,
    waitsFor: [...job.waitsFor],
    advice: waits ? [...advice(job, job.ask, views, found, rules)] : remedies(job),
  };
}

function ended(summary: JobSummary, state: JobState): string {
  const because = summary.detail === '' ? '' : `: ${summary.detail}`;
  return `it has ended ${state}${because}`;
}

function answerFor(job: JobRecord, state: JobState, found: Verdicts, ahead: number): string {
  if (job.cancelReason !== undefined) return 'it is being cancelled; its site has to confirm';
  if (job.hold !== undefined) return `it is ${job.hold.detail}`;
  if (job.waitsFor.size > 0) return `it waits for ${[...job.waitsFor].join(', ')} to end`;
  const queued = job.counts.queued ?? 0;
  const tasks = job.tasks === 1 ? 'it' : `${queued} of its ${job.tasks} tasks`;
  if (queued === 0 && isActive(state)) return `it is ${state} at ${places(job)}`;
  if (queued === 0) return job.detail === '' ? `it is ${state}` : `it is ${state}: ${job.detail}`;
  return `${tasks} ${job.tasks === 1 ? 'waits' : 'wait'}: ${whyLimited(job) ?? whyQueued(job, found, ahead)}`;
}

/** What a person can do about tasks that are held, each thing once. */
function remedies(job: JobRecord): string[] {
  const held = [...job.open.values()].filter(({ state }) => state === 'held');
  const reasons = new Set([job.hold?.reason ?? '', ...held.map(({ reason }) => reason)]);
  return [...reasons].flatMap((reason) => REMEDIES[reason]?.replace('ID', job.id) ?? []);
}

function places(job: JobRecord): string {
  const sites = [...job.open.values()].flatMap(({ attempt, state }) =>
    attempt !== undefined && isActive(state) ? [attempt.site] : [],
  );
  return [...new Set(sites)].join(', ');
}

function whyLimited({ maxRunning, counts }: JobRecord): string | undefined {
  const { active } = taskCountsOf(counts);
  if (maxRunning === undefined || active < maxRunning) return undefined;
  return `${active} are at sites, and its max-running is ${maxRunning}`;
}

function whyQueued(job: JobRecord, found: Verdicts, ahead: number): string {
  const refusals = [...found.values()];
  if (refusals.length === 0) return 'no site is enrolled';
  if (refusals.every((refusal) => refusal?.lasting === true)) {
    const [only] = refusals;
    return refusals.length === 1 && only !== undefined
      ? `the only site cannot take it (${only.detail})`
      : `none of the ${refusals.length} sites can take it as it is`;
  }
  if (refusals.includes(undefined)) return whyNotPlaced(job);
  const busy = refusals.filter((refusal) => refusal?.code === 'no-free-slots').length;
  if (busy === 0) {
    const now = refusals.find((refusal) => refusal?.lasting === false);
    return `the sites that could take it are not available now (${now?.detail ?? ''})`;
  }
  const queue = ahead === 0 ? 'nothing is ahead of it' : `${ahead} tasks are ahead of it`;
  const full =
    busy === 1 ? 'the site that could take it is' : `${busy} sites could take it and are`;
  return `${full} full; ${queue}`;
}

function whyNotPlaced(job: JobRecord): string {
  const pausing = [...job.open.values()].find(
    ({ state, notBeforeMs }) => state === 'queued' && notBeforeMs > 0,
  );
  return pausing === undefined
    ? 'it is about to be placed'
    : `it is tried again after a pause (${pausing.detail})`;
}

function advice(
  job: JobRecord,
  ask: Ask,
  views: readonly SiteView[],
  found: Verdicts,
  rules: Rules,
): readonly string[] {
  if (job.waitsFor.size > 0) return [`see \`grid why ${[...job.waitsFor][0]}\``];
  if (found.size === 0) return ['ask an administrator of the grid to enrol a site'];
  return adviceFor(ask, views, rules).map(formatAdvice);
}
