import { EMPTY_TREE, type TreeRef } from '../../core/data/manifest.ts';
import type { JobId } from '../../core/ids.ts';
import { dependenciesOf } from '../../core/job/dependency.ts';
import { REMEDIES } from '../../core/job/reasons.ts';
import { taskCount } from '../../core/job/spec.ts';
import { isFinal } from '../../core/job/state.ts';
import { formatAdvice } from '../../core/match/advice.ts';
import { askOf } from '../../core/match/ask.ts';
import type { Peer } from '../../core/vo/caller.ts';
import type { Access } from '../../core/vo/policy.ts';
import type {
  ExplainJobRequest,
  SiteVerdict,
  WhyJobResponse,
} from '../../proto/gen/grid/v1/broker.ts';
import { specFromWire, stateFromWire } from '../../service/rpc/wire.ts';
import { readDependencies } from '../jobs/dependencies.ts';
import { readSummary } from '../jobs/listing.ts';
import type { JobRecord } from '../jobs/records.ts';
import { checkJobs, withVo } from '../jobs/wanted-jobs.ts';
import { checkGroup, checkQueueQuotas } from '../shares/submit-shares.ts';
import type { SiteRegistry } from '../sites/site-registry.ts';
import { type Outlook, type OutlookParts, outlookFor } from './outlook.ts';
import { answerBefore, answerFor, ended, placesOf, whyUnserved } from './why-answer.ts';

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

interface ExplainParts extends OutlookParts {
  readonly access: Access;
}

/** Inputs are not sent before a job is submitted. */
const UNSENT: TreeRef = { ...EMPTY_TREE, digest: 'unsent' };

/** What would become of a job that is submitted now; throws as submitting it would. */
export async function explainJob(
  parts: ExplainParts,
  peer: Peer,
  request: ExplainJobRequest,
): Promise<WhyJobResponse> {
  const { book, sites, access } = parts;
  const asked = { spec: specFromWire(request.spec), inputs: UNSENT, node: '' };
  const wanted = withVo(asked, peer, access);
  const { spec } = wanted;
  checkJobs([wanted], undefined);
  checkGroup(peer, spec);
  await readDependencies(book, [wanted], peer, access);
  const ask = askOf(spec, peer);
  const { jobs, shares } = book.table;
  checkQueueQuotas(shares, [{ ask, tasks: taskCount(spec) }]);
  const waiter = { ask, key: '', seq: Number.MAX_SAFE_INTEGER, share: shares.leafOf(ask) };
  const outlook = outlookFor(parts, waiter);
  const waitsFor = dependenciesOf(spec).flatMap(({ job }) => (jobs.has(job) ? [job] : []));
  const answer = answerBefore(outlook, waitsFor);
  return { ...NOTHING, summary: undefined, answer, waitsFor, ...outlookToWire(outlook, sites) };
}

/** Why a job is where it is. */
export async function whyJob(parts: ExplainParts, id: JobId): Promise<WhyJobResponse> {
  const { book, sites, access } = parts;
  const summary = await readSummary(book, id);
  const job = book.table.jobs.get(id);
  const state = stateFromWire(summary.state);
  if (job === undefined || isFinal(state))
    return { ...NOTHING, summary, answer: ended(summary, state) };
  const unserved = whyUnserved(job, access);
  if (unserved !== undefined) return { ...NOTHING, summary, ...unserved };
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
  return [...reasons].flatMap((reason) => REMEDIES[reason]?.replaceAll('ID', job.id) ?? []);
}

/** The sites where it is. */
const placesToWire = (job: JobRecord, sites: SiteRegistry): SiteVerdict[] =>
  [...placesOf(job)].map(([site, attempts]) => ({
    site,
    matches: true,
    refusal: '',
    detail: attempts.length === 1 ? 'it is there' : `${attempts.length} of its tasks are there`,
    lastHeardAtMs: sites.get(site)?.lastHeardAtMs ?? 0,
    expectedWaitMs: 0,
    lasting: false,
  }));

function outlookToWire(outlook: Outlook, sites: SiteRegistry) {
  const { verdicts, waitsMs, advice, turns, ahead, start } = outlook;
  return {
    sites: [...verdicts].map(([site, refusal]) => ({
      site,
      matches: refusal === undefined,
      refusal: refusal?.code ?? '',
      detail: refusal?.detail ?? '',
      lastHeardAtMs: sites.get(site)?.lastHeardAtMs ?? 0,
      expectedWaitMs: Math.round(waitsMs.get(site) ?? 0),
      lasting: refusal?.lasting ?? false,
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
