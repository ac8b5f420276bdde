import type { JobId, SiteId } from '../../core/ids.ts';
import { isActive, type JobState } from '../../core/job/state.ts';
import { taskCountsOf } from '../../core/job/summary.ts';
import type { Refusal } from '../../core/match/refusal.ts';
import { type Access, isServed } from '../../core/vo/policy.ts';
import type { JobSummary, WhyJobResponse } from '../../proto/gen/grid/v1/broker.ts';
import type { AttemptRecord, JobRecord, Why } from '../jobs/records.ts';
import type { Outlook } from './outlook.ts';

/** The sentences of `grid why`. */

export function ended(summary: JobSummary, state: JobState): string {
  const because = summary.detail === '' ? '' : `: ${summary.detail}`;
  return `it has ended ${state}${because}`;
}

/** Of a job that has not ended; `pausesUntilMs` is 0 where it does not pause. */
export function answerFor(
  job: JobRecord,
  state: JobState,
  outlook: Outlook,
  pausesUntilMs: number,
): string {
  const settled = whySettled(job);
  if (settled !== undefined) return settled;
  const queued = job.counts.queued ?? 0;
  if (queued === 0 && isActive(state))
    return `it is ${state} at ${[...placesOf(job).keys()].join(', ')}${saidOf(job, state)}`;
  if (queued === 0) return job.detail === '' ? `it is ${state}` : `it is ${state}: ${job.detail}`;
  const who = waitersOf(job);
  const why = whyLimited(job) ?? whyPauses(job, pausesUntilMs) ?? whyQueued(outlook);
  return `${who}: ${why ?? 'it is about to be placed'}`;
}

/** What was said of the first of its tasks in this state of which anything was. */
function saidOf(job: JobRecord, state: JobState): string {
  const said = [...job.open.values()].find((task) => task.state === state && task.detail !== '');
  return said === undefined ? '' : `: ${said.detail}`;
}

const waitersOf = ({ tasks, counts }: JobRecord): string =>
  tasks === 1 ? 'it waits' : `${counts.queued} of its ${tasks} tasks wait`;

/** Of a job that waits and whose VO the broker serves no more; undefined for any other. */
export function whyUnserved(
  job: JobRecord,
  access: Pick<Access, 'vos'>,
): Pick<WhyJobResponse, 'answer' | 'advice'> | undefined {
  const waits = (job.counts.queued ?? 0) > 0 && whySettled(job) === undefined;
  if (!waits || isServed(job.vo, access)) return undefined;
  const words = `this broker does not serve VO ${job.vo} any more (serves: ${access.vos.join(', ')})`;
  return {
    answer: `${waitersOf(job)}: ${words}`,
    advice: ['ask an administrator of the grid to add the VO to `vos` of its broker'],
  };
}

/** What keeps the whole job from being placed, whatever the sites say. */
function whySettled(job: JobRecord): string | undefined {
  if (job.cancelReason !== undefined) return 'it is being cancelled; its site has to confirm';
  if (job.hold !== undefined) return whyHeld(job, job.hold);
  if (job.waitsFor.size > 0) return `it waits for ${[...job.waitsFor].join(', ')} to end`;
  return undefined;
}

/** What is at a site runs on. */
function whyHeld(job: JobRecord, { detail }: Why): string {
  const places = [...placesOf(job).keys()];
  return places.length === 0
    ? `it is ${detail}`
    : `it is ${detail}; what is at ${places.join(', ')} runs on`;
}

/** Its live attempts by site. */
export const placesOf = (job: JobRecord): ReadonlyMap<SiteId, readonly AttemptRecord[]> =>
  Map.groupBy(
    [...job.open.values()].flatMap(({ attempt, state }) =>
      attempt !== undefined && isActive(state) ? [attempt] : [],
    ),
    ({ site }) => site,
  );

function whyLimited({ maxRunning, counts }: JobRecord): string | undefined {
  const { active } = taskCountsOf(counts);
  if (maxRunning === undefined || active < maxRunning) return undefined;
  return `${active} are at sites, and its max-running is ${maxRunning}`;
}

function whyPauses(job: JobRecord, untilMs: number): string | undefined {
  if (untilMs === 0) return undefined;
  const pausing = [...job.open.values()].find(({ notBeforeMs }) => notBeforeMs === untilMs);
  return pausing === undefined ? undefined : `it is tried again after a pause (${pausing.detail})`;
}

/** Of a job that has not been submitted. */
export function answerBefore(outlook: Outlook, waitsFor: readonly JobId[]): string {
  if (waitsFor.length > 0) return `it would wait for ${waitsFor.join(', ')} to end`;
  const why = whyQueued(outlook);
  if (why !== undefined) return `it would wait: ${why}`;
  const takers = [...outlook.verdicts].flatMap(([site, refusal]) => (refusal ? [] : [site]));
  return `it could be placed now at ${takers.length === 1 ? takers[0] : `${takers.length} sites`}`;
}

/** Why a job waits for a site; undefined where one would take it. */
function whyQueued({ verdicts, ahead }: Outlook): string | undefined {
  const refusals = [...verdicts.values()];
  if (refusals.length === 0) return 'no site is enrolled';
  if (refusals.includes(undefined)) return undefined;
  const said = refusals.flatMap((refusal) => refusal ?? []);
  const passing = said.filter(({ lasting }) => !lasting);
  const [now] = passing;
  if (now === undefined) return whyNever(said);
  const busy = passing.filter(({ code }) => code === 'no-free-slots' || code === 'site-reserved');
  if (busy.length > 0) return whyFull(busy.length, ahead.tasks);
  const quota = passing.find(({ code }) => code === 'quota-reached');
  if (quota !== undefined) return `its quota is reached (${quota.detail})`;
  return `the sites that could take it are not available now (${now.detail})`;
}

function whyNever(refusals: readonly Refusal[]): string {
  const [first] = refusals;
  if (refusals.length === 1 && first !== undefined)
    return `the only site cannot take it (${first.detail})`;
  if (refusals.every(({ code }) => OF_SIZE.includes(code)))
    return 'no single site is large enough, and a task never spreads over sites';
  return `none of the ${refusals.length} sites can take it as it is`;
}

const OF_SIZE: readonly Refusal['code'][] = [
  'too-many-nodes',
  'too-few-cpus',
  'too-little-memory',
  'too-few-gpus',
  'queue-too-small',
];

function whyFull(sites: number, tasksAhead: number): string {
  const full =
    sites === 1 ? 'the site that could take it is' : `${sites} sites could take it and are`;
  const are = tasksAhead === 1 ? 'task is' : 'tasks are';
  const queue = tasksAhead === 0 ? 'nothing is ahead of it' : `${tasksAhead} ${are} ahead of it`;
  return `${full} full; ${queue}`;
}
