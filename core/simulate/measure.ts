import { needOf } from '../match/need.ts';
import { sum } from '../sum.ts';
import { type Balance, balanceOf } from './balance.ts';
import { type Spread, spreadOf } from './statistics.ts';
import type { EndedAttempt, History, SimSite, World } from './world.ts';

/** What came of one policy, in figures. */
export interface Measures {
  readonly policy: string;
  readonly jobs: number;
  readonly tasks: number;
  readonly done: number;
  /** Given up after too many failures of sites. */
  readonly failed: number;
  /** Ended at their walltime. */
  readonly killed: number;
  /** Neither, when the simulation ended. */
  readonly unfinished: number;
  /** From the submission of a task to the start of its last attempt, of those that ended. */
  readonly waitMs: Spread;
  /** Bounded slowdown (Feitelson): (wait + run) / max(run, 10 s), at least 1. */
  readonly slowdown: Spread;
  /** Cpu time in use, of what the sites had from the first submission to the last end, without outages; 0 to 1. */
  readonly utilisation: number;
  /** Of the cpu time in use, what went into attempts that came to nothing; 0 to 1. */
  readonly wasted: number;
  readonly doneTasksPerHour: number;
  /** From the first submission to the last end. */
  readonly makespanMs: number;
  readonly balance: Balance;
  readonly rounds: number;
  readonly placements: number;
}

/** Shorter runs count as this long in the slowdown, so that a job of a second does not outweigh all others. */
const SLOWDOWN_BOUND_MS = 10_000;

/** The attempts that were the last of their tasks: they tell how long a task waited. */
export const finals = ({ attempts }: History): readonly EndedAttempt[] =>
  attempts.filter(({ last }) => last);
export const waitOf = ({ job, startMs }: EndedAttempt): number => startMs - job.submitAtMs;
export const cpusOf = ({ job }: Pick<EndedAttempt, 'job'>): number =>
  needOf(job.ask.resources).cpus;

export function slowdownOf(attempt: EndedAttempt): number {
  const runMs = attempt.endMs - attempt.startMs;
  return Math.max(1, (waitOf(attempt) + runMs) / Math.max(runMs, SLOWDOWN_BOUND_MS));
}

export function measure(policy: string, world: World, history: History): Measures {
  const { jobs, sites, shares } = world;
  const last = finals(history);
  const ended = (how: EndedAttempt['ended']): number =>
    last.filter((attempt) => attempt.ended === how).length;
  const tasks = sum(jobs.map((job) => job.runtimesMs.length));
  const firstMs = Math.min(history.endMs, jobs[0]?.submitAtMs ?? 0);
  const makespanMs = history.endMs - firstMs;
  const used = sum(history.attempts.map(cpuMs));
  const useful = sum(
    history.attempts.filter(({ ended: how }) => how === 'done' || how === 'running').map(cpuMs),
  );
  return {
    policy,
    jobs: jobs.length,
    tasks,
    done: ended('done'),
    failed: ended('failed'),
    killed: ended('killed'),
    unfinished: tasks - last.length,
    waitMs: spreadOf(last.map(waitOf)),
    slowdown: spreadOf(last.map(slowdownOf)),
    utilisation: used / (capacity(sites, firstMs, history.endMs) || 1),
    wasted: (used - useful) / (used || 1),
    doneTasksPerHour: ended('done') / ((makespanMs || 1) / 3_600_000),
    makespanMs,
    balance: balanceOf(history, jobs, shares),
    rounds: history.rounds,
    placements: history.placements,
  };
}

const cpuMs = (attempt: EndedAttempt): number =>
  cpusOf(attempt) * (attempt.endMs - attempt.startMs);

/** Cpu-milliseconds that the sites could have given. */
export function capacity(sites: readonly SimSite[], fromMs: number, toMs: number): number {
  return sum(
    sites.map((site) => site.offer.totalCpus * (toMs - fromMs - outageMs(site, fromMs, toMs))),
  );
}

/** Time that a site was away, overlapping outages counted once. */
function outageMs({ outages }: SimSite, fromMs: number, toMs: number): number {
  let away = 0;
  let seenMs = fromMs;
  const breaks = outages.filter(({ kind }) => kind === 'outage');
  for (const outage of breaks.toSorted((a, b) => a.fromMs - b.fromMs)) {
    const from = Math.max(seenMs, outage.fromMs);
    const to = Math.min(toMs, outage.toMs);
    away += Math.max(0, to - from);
    seenMs = Math.max(seenMs, to);
  }
  return away;
}
