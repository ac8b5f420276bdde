import { type Dn, dn, jobId, type VoName } from '../ids.ts';
import type { Resources } from '../job/spec.ts';
import { type Ask, formatAsk } from '../match/ask.ts';
import { type Distribution, draw } from './distribution.ts';
import { openRandom, type Random } from './random.ts';
import type { SimJob } from './world.ts';

/** When jobs of a stream arrive. */
export type Arrival =
  | { readonly kind: 'poisson'; readonly perMs: number }
  | { readonly kind: 'every'; readonly everyMs: number }
  | { readonly kind: 'at'; readonly atMs: number };

/** Jobs of one user that are alike. */
export interface Stream {
  readonly user: string;
  readonly vo: VoName;
  /** Path of the group, the VO itself where there is none. */
  readonly group: string;
  readonly arrival: Arrival;
  /** The first may arrive from here on. */
  readonly startMs: number;
  /** The most jobs; Infinity for as many as arrive before the horizon. */
  readonly count: number;
  /** Tasks of a job. */
  readonly array: number;
  readonly runtime: Distribution;
  /** Walltime 0 for whatever its longest task needs at the slowest site. */
  readonly resources: Resources;
  readonly requirements: string;
  readonly rank: string;
}

/** A job before the workload is put in order. */
export type DraftJob = Omit<SimJob, 'id' | 'seq'>;

/** The most tasks that one simulation takes. */
export const MAX_SIM_TASKS = 2_000_000;

/** Tasks that a stream comes to, on average. */
export function expectedTasks(stream: Stream, horizonMs: number): number {
  const { arrival, count, array } = stream;
  const spanMs = Math.max(0, horizonMs - stream.startMs);
  if (arrival.kind === 'at') return count * array;
  const jobs = arrival.kind === 'poisson' ? arrival.perMs * spanMs : spanMs / arrival.everyMs;
  return Math.min(count, jobs) * array;
}

/** The jobs of a stream; `salt` tells it from other streams of the same seed. */
export function draftJobs(
  stream: Stream,
  world: { readonly seed: number; readonly horizonMs: number; readonly slowest: number },
  salt: number,
): readonly DraftJob[] {
  const random = openRandom(world.seed, salt);
  const drafts = arrivals(stream, world.horizonMs, random).map((submitAtMs) => ({
    submitAtMs,
    runtimesMs: Array.from({ length: stream.array }, () => draw(stream.runtime, random)),
  }));
  const longest = drafts.reduce((most, job) => job.runtimesMs.reduce(larger, most), 0);
  const ask = askOfStream(stream, longest / world.slowest);
  return drafts.map((draft) => ({ ...draft, ask }));
}

const larger = (a: number, b: number): number => Math.max(a, b);

function arrivals(stream: Stream, horizonMs: number, random: Random): readonly number[] {
  const { arrival, count, startMs } = stream;
  if (arrival.kind === 'at') return Array.from({ length: count }, () => arrival.atMs);
  const gap = (): number =>
    arrival.kind === 'every'
      ? arrival.everyMs
      : draw({ kind: 'exp', meanMs: 1 / arrival.perMs }, random);
  const instants: number[] = [];
  let atMs = arrival.kind === 'every' ? startMs : startMs + gap();
  while (atMs < horizonMs && instants.length < count) {
    instants.push(atMs);
    atMs += gap();
  }
  return instants;
}

/** A short name stands for a DN of its own. */
export const ownerOf = (user: string): Dn => dn(user.startsWith('/') ? user : `/CN=${user}`);

function askOfStream(stream: Stream, neededMs: number): Ask {
  const { vo, resources, requirements, rank } = stream;
  const walltimeMs = resources.walltimeMs || Math.max(1, Math.ceil(neededMs));
  return {
    owner: ownerOf(stream.user),
    vo,
    fqans: [stream.group],
    resources: { ...resources, walltimeMs },
    requirements,
    rank,
    sites: [],
    excludeSites: [],
  };
}

/** Jobs in the order of arrival, equal asks made one object. */
export function orderJobs(drafts: readonly DraftJob[]): readonly SimJob[] {
  const asks = new Map<string, Ask>();
  const shared = new Map<Ask, Ask>();
  const one = (ask: Ask): Ask => {
    const known = shared.get(ask);
    if (known !== undefined) return known;
    const text = formatAsk(ask);
    const first = asks.get(text) ?? ask;
    asks.set(text, first);
    shared.set(ask, first);
    return first;
  };
  return drafts
    .toSorted((a, b) => a.submitAtMs - b.submitAtMs)
    .map((draft, seq) => ({ ...draft, ask: one(draft.ask), seq, id: jobId(`job-${seq + 1}`) }));
}
