import { voName } from '../../core/ids.ts';
import { round } from '../../core/match/match.ts';
import { openRoundMemory } from '../../core/match/memory.ts';
import type { Offer } from '../../core/match/offer.ts';
import { type SimProgress, simulate } from '../../core/simulate/engine.ts';
import { type DraftJob, draftJobs, orderJobs, type Stream } from '../../core/simulate/workload.ts';
import type { History, SchedulingPolicy, SimSite, World } from '../../core/simulate/world.ts';
import { askFor, NO_RULES, offerOf } from './offers.ts';

export const HOUR_MS = 3_600_000;

/** A site with room for any memory. */
export const simSite = (
  id: string,
  cpus: number,
  details: Partial<SimSite> = {},
  offer: Partial<Offer> = {},
): SimSite => ({
  offer: offerOf(id, {
    totalCpus: cpus,
    freeCpus: cpus,
    totalMemoryBytes: 2 ** 50,
    freeMemoryBytes: 2 ** 50,
    ...offer,
  }),
  speed: 1,
  failure: 0,
  outages: [],
  ...details,
});

/** Tasks of one cpu of Alice that arrive together and run an hour. */
export const streamOf = (details: Partial<Stream> = {}): Stream => ({
  user: 'alice',
  vo: voName('demo'),
  group: '/demo',
  arrival: { kind: 'at', atMs: 0 },
  startMs: 0,
  count: 1,
  array: 1,
  runtime: { kind: 'fixed', ms: HOUR_MS },
  resources: { ...askFor().resources, memoryBytes: 1, walltimeMs: 0 },
  requirements: '',
  rank: '',
  ...details,
});

/** The jobs of some streams. */
export const draftsOf = (streams: readonly Stream[], seed = 1, slowest = 1): readonly DraftJob[] =>
  streams.flatMap((stream, salt) =>
    draftJobs(stream, { seed, horizonMs: Number.POSITIVE_INFINITY, slowest }, salt),
  );

export const worldOf = (
  sites: readonly SimSite[],
  drafts: readonly DraftJob[],
  details: Partial<World> = {},
): World => ({
  seed: 1,
  sites,
  jobs: orderJobs(drafts),
  shares: [],
  untilMs: Number.POSITIVE_INFINITY,
  ...details,
});

const POLICY: SchedulingPolicy = {
  name: 'default',
  fairShare: true,
  halfLifeMs: 7 * 24 * HOUR_MS,
  reservations: true,
  backlog: undefined,
  rank: '',
  roundIntervalMs: 1_000,
};

/** Runs a world to its end. */
export function historyOf(
  world: World,
  policy: Partial<SchedulingPolicy> = {},
  onProgress: (progress: SimProgress) => void = () => undefined,
): History {
  const memory = openRoundMemory();
  const steps = simulate({
    world,
    policy: { ...POLICY, ...policy },
    rules: NO_RULES,
    decide: (snapshot) => round(snapshot, memory),
  });
  let step = steps.next();
  while (step.done !== true) {
    onProgress(step.value);
    step = steps.next();
  }
  return step.value;
}
