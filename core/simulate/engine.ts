import type { SiteId } from '../ids.ts';
import type { Ask, Rules } from '../match/ask.ts';
import { needOf } from '../match/need.ts';
import type { Placement, Reservation, RoundResult, Snapshot } from '../match/snapshot.ts';
import { judge } from '../retry/retry.ts';
import { DEFAULT_WEIGHTS } from '../share/charge.ts';
import { openShareTree, type ShareTree } from '../share/share-tree.ts';
import { type Agenda, openAgenda } from './agenda.ts';
import {
  type Attempt,
  abandon,
  accept,
  finish,
  hasRoom,
  openPlace,
  type Place,
  viewOf,
} from './place.ts';
import { openRandom } from './random.ts';
import { openWaiting, type Waiting, type WaitingTask } from './waiting.ts';
import type { EndedAttempt, History, Outage, SchedulingPolicy, World } from './world.ts';

/**
 * The grid under a virtual clock: jobs arrive, rounds place them, sites run them. An event is an arrival, the end of an
 * attempt, a change of a site, or the end of a pause before a retry; after it comes a round, though never sooner than the
 * policy's interval after the last one. A round that could place nothing (nothing waits, or no site has room) is not held.
 */
export interface SimulationOptions {
  readonly world: World;
  readonly policy: SchedulingPolicy;
  readonly rules: Rules;
  /** The broker's own `round`; whoever measures what it costs wraps it. */
  readonly decide: (snapshot: Snapshot) => RoundResult;
}

/** How far a simulation is. */
export interface SimProgress {
  readonly nowMs: number;
  readonly doneTasks: number;
}

/** A round that places more is followed by another one at once, as in the broker. */
const MAX_PLACEMENTS = 2_000;
const EVENTS_BETWEEN_REPORTS = 2_000;

type Event =
  | { readonly kind: 'end'; readonly attempt: Attempt; readonly ended: Ending }
  | { readonly kind: 'site'; readonly place: Place; readonly outage: Outage; readonly by: 1 | -1 }
  | { readonly kind: 'wake' };

type Ending = 'done' | 'failed' | 'killed';

interface State {
  readonly options: SimulationOptions;
  readonly agenda: Agenda<Event>;
  readonly waiting: Waiting;
  readonly places: ReadonlyMap<SiteId, Place>;
  readonly shares: ShareTree;
  readonly attempts: EndedAttempt[];
  reservations: readonly Reservation[];
  nowMs: number;
  /** Jobs of the workload before this one have arrived. */
  nextJob: number;
  /** When the next round is; Infinity for none. */
  roundAtMs: number;
  lastRoundMs: number;
  rounds: number;
  placements: number;
  doneTasks: number;
}

/** Runs the world under one policy; yields now and then, so that its caller can show progress or end it. */
export function* simulate(options: SimulationOptions): Generator<SimProgress, History> {
  const state = openState(options);
  const { jobs, untilMs } = options.world;
  for (let events = 1; ; events += 1) {
    const arrivalMs = jobs[state.nextJob]?.submitAtMs ?? Number.POSITIVE_INFINITY;
    const eventMs = Math.min(arrivalMs, state.agenda.nextMs());
    const nextMs = Math.min(eventMs, state.roundAtMs);
    if (nextMs >= untilMs || nextMs === Number.POSITIVE_INFINITY) break;
    state.nowMs = nextMs;
    // What happens at the instant of a round is before it.
    if (state.roundAtMs < eventMs) holdRound(state);
    else if (arrivalMs === eventMs) arrive(state);
    else happen(state);
    if (events % EVENTS_BETWEEN_REPORTS === 0)
      yield { nowMs: state.nowMs, doneTasks: state.doneTasks };
  }
  return historyOf(state);
}

function openState(options: SimulationOptions): State {
  const { world, policy } = options;
  const agenda = openAgenda<Event>();
  const places = new Map(
    world.sites.map((site) => [site.offer.site, openPlace(site, policy.backlog)]),
  );
  for (const place of places.values()) {
    for (const outage of place.site.outages) {
      agenda.add(outage.fromMs, { kind: 'site', place, outage, by: 1 });
      agenda.add(outage.toMs, { kind: 'site', place, outage, by: -1 });
    }
  }
  return {
    options,
    agenda,
    waiting: openWaiting((ask) => askUnder(policy, ask)),
    places,
    shares: sharesUnder(policy, world.shares),
    attempts: [],
    reservations: [],
    nowMs: 0,
    nextJob: 0,
    roundAtMs: Number.POSITIVE_INFINITY,
    lastRoundMs: Number.NEGATIVE_INFINITY,
    rounds: 0,
    placements: 0,
    doneTasks: 0,
  };
}

function sharesUnder({ halfLifeMs }: SchedulingPolicy, settings: World['shares']): ShareTree {
  const tree = openShareTree({ halfLifeMs, weights: DEFAULT_WEIGHTS });
  for (const { node, weight, runningCpus } of settings) {
    const set = tree.record(node);
    set.weight = weight;
    if (runningCpus !== undefined) set.quota = { runningCpus };
  }
  return tree;
}

const askUnder = ({ rank }: SchedulingPolicy, ask: Ask): Ask =>
  ask.rank === '' && rank !== '' ? { ...ask, rank } : ask;

function arrive(state: State): void {
  const job = state.options.world.jobs[state.nextJob];
  if (job === undefined) return;
  state.nextJob += 1;
  state.waiting.submit(job);
  callRound(state);
}

/** A round as soon as the last one is long enough ago. */
function callRound(state: State): void {
  const earliest = state.lastRoundMs + state.options.policy.roundIntervalMs;
  state.roundAtMs = Math.min(state.roundAtMs, Math.max(state.nowMs, earliest));
}

function happen(state: State): void {
  const event = state.agenda.take();
  if (event === undefined || (event.kind === 'end' && event.attempt.over)) return;
  callRound(state);
  if (event.kind === 'end') endAttempt(state, event.attempt, event.ended);
  if (event.kind === 'site') changeSite(state, event.place, event.outage.kind, event.by);
}

function holdRound(state: State): void {
  const { waiting, options, nowMs } = state;
  const { policy } = options;
  state.roundAtMs = Number.POSITIVE_INFINITY;
  const places = [...state.places.values()];
  if (waiting.size === 0 || !places.some(hasRoom)) return;
  state.lastRoundMs = nowMs;
  state.rounds += 1;
  const { placements, reservations } = options.decide({
    nowMs,
    sites: places.map((there) => viewOf(there, policy.reservations)),
    queues: waiting.list(),
    shares: state.shares.sharesAt(nowMs),
    rules: options.rules,
    limit: MAX_PLACEMENTS,
    reservations: state.reservations,
    order: policy.fairShare ? 'shares' : 'arrival',
  });
  state.reservations = reservations;
  for (const placement of placements) carryOut(state, placement);
  state.placements += placements.length;
  if (placements.length >= MAX_PLACEMENTS) state.roundAtMs = nowMs;
}

function carryOut(state: State, { job, ordinal, site }: Placement): void {
  const there = state.places.get(site);
  if (there === undefined) throw new TypeError(`site ${site} is not simulated`);
  const task = state.waiting.take(job, ordinal);
  state.shares.place(state.shares.leafOf(task.ask), needOf(task.ask.resources));
  start(state, accept(there, task));
}

/** The site has the attempt no longer: what it has used is its owner's usage. */
function release({ shares, nowMs }: State, { task, need, startMs }: Attempt): void {
  const placed = { need, startedAtMs: startMs, endedAtMs: nowMs };
  shares.end(shares.leafOf(task.ask), placed, nowMs);
}

/** Attempts that a site begins to run now: how each will end is known. */
function start(state: State, attempts: readonly Attempt[]): void {
  for (const attempt of attempts) {
    attempt.startMs = state.nowMs;
    const { shares, nowMs } = state;
    shares.start(shares.leafOf(attempt.task.ask), attempt.need, nowMs, nowMs);
    const { ended, afterMs } = fateOf(state, attempt);
    state.agenda.add(state.nowMs + afterMs, { kind: 'end', attempt, ended });
  }
}

/** The same attempt at the same site has the same fate under every policy. */
function fateOf(
  state: State,
  { task, place: { site } }: Attempt,
): { readonly ended: Ending; readonly afterMs: number } {
  const { job, ordinal, tries, ask } = task;
  const runMs = (job.runtimesMs[ordinal] ?? 0) / site.speed;
  const { walltimeMs } = ask.resources;
  if (site.failure > 0) {
    const random = openRandom(state.options.world.seed, job.seq, ordinal, tries);
    const afterMs = random.next() * Math.min(runMs, walltimeMs);
    if (random.next() < site.failure) return { ended: 'failed', afterMs };
  }
  return runMs > walltimeMs
    ? { ended: 'killed', afterMs: walltimeMs }
    : { ended: 'done', afterMs: runMs };
}

function endAttempt(state: State, attempt: Attempt, ended: Ending): void {
  const { task, place: there } = attempt;
  release(state, attempt);
  const isLast = ended !== 'failed' || !tryAgain(state, task, there.site.offer.site);
  record(state, attempt, ended, isLast);
  if (isLast) state.doneTasks += 1;
  start(state, finish(attempt));
}

/** Whether the task waits again after its site has failed it. */
function tryAgain(state: State, task: WaitingTask, site: SiteId): boolean {
  const verdict = judge(
    { failure: 'site', reason: 'TASK_VANISHED', detail: `${site} failed it` },
    task.counts,
    { retries: 0 },
  );
  if (verdict.kind !== 'retry') return false;
  task.tries += 1;
  task.counts = verdict.counts;
  task.avoid = [site];
  task.notBeforeMs = state.nowMs + verdict.delayMs;
  if (verdict.delayMs > 0) state.agenda.add(task.notBeforeMs, { kind: 'wake' });
  state.waiting.again(task);
  return true;
}

function changeSite(state: State, there: Place, kind: Outage['kind'], by: 1 | -1): void {
  there.closed[kind === 'outage' ? 'outages' : 'drains'] += by;
  there.view = undefined;
  if (kind === 'drain' || by === -1) return;
  for (const attempt of abandon(there)) {
    release(state, attempt);
    if (attempt.startMs !== undefined) record(state, attempt, 'lost', false);
    attempt.task.tries += 1;
    state.waiting.again(attempt.task);
  }
}

function record(state: State, attempt: Attempt, ended: EndedAttempt['ended'], last: boolean): void {
  const { task, place: there, startMs = state.nowMs } = attempt;
  const { job, ordinal } = task;
  const endMs = state.nowMs;
  state.attempts.push({ job, ordinal, site: there.site.offer.site, startMs, endMs, ended, last });
}

function historyOf(state: State): History {
  const { untilMs } = state.options.world;
  if (untilMs !== Number.POSITIVE_INFINITY) state.nowMs = untilMs;
  for (const there of state.places.values())
    for (const attempt of there.running) record(state, attempt, 'running', false);
  const { attempts, rounds, placements } = state;
  const endMs = attempts.reduce((latest, attempt) => Math.max(latest, attempt.endMs), 0);
  return { attempts, rounds, placements, endMs };
}
