import { type JobRecord, NOTHING } from '../../broker/jobs/records.ts';
import { openAskQueues } from '../../broker/matching/ask-queues.ts';
import { type Outlook, outlookOn } from '../../broker/matching/outlook.ts';
import { dn, jobId, type SiteId, siteId, voName } from '../../core/ids.ts';
import type { Resources } from '../../core/job/spec.ts';
import type { Ask } from '../../core/match/ask.ts';
import { fits, NO_NEED, needOf, subtract } from '../../core/match/need.ts';
import { freeAt } from '../../core/match/refusal.ts';
import { type SiteView } from '../../core/match/site-view.ts';
import type { Placement, Snapshot } from '../../core/match/snapshot.ts';
import { expectedWaitMs, NONE_SEEN, noteStart } from '../../core/match/waits.ts';
import { openShareTree } from '../../core/share/share-tree.ts';
import { openRules } from '../../service/expression/rules.ts';
import { askFor, siteOf } from '../fakes/offers.ts';

/** How large a made grid is. */
export interface GridSize {
  readonly sites: number;
  /** Cpus that are free on all sites together; every task wants one. */
  readonly freeSlots: number;
  readonly classes: number;
  readonly jobs: number;
  readonly tasksPerJob: number;
}

/** A grid with its queue, as the broker keeps it, but for gateways and ledger. */
export interface SyntheticGrid {
  /** What a round looks at now; reading the queue is part of the work. */
  snapshot(): Snapshot;
  /** Throws if a placement breaks an offer or is not of a queued task; takes what was placed out of the queue. */
  carryOut(placements: readonly Placement[]): void;
  /** What the broker would say to a job of the class of `index`, with changes to what it asks for, behind all that wait. */
  outlook(index: number, resources: Partial<Resources>): Outlook;
  /** All sites advertise anew: the same room is free again, and the machines of one in a hundred have changed. */
  advertise(): void;
}

const GIB = 2 ** 30;
const VOS = ['astro', 'biomed', 'climate', 'demo', 'esr'].map(voName);
const OWNERS_PER_VO = 50;
const REQUIREMENTS = [
  '',
  'site.arch == "x86_64"',
  '"cuda" in site.features || site.cpus >= 16',
  'site.max_walltime == 0 || site.max_walltime > job.walltime',
] as const;
const RANKS = ['', '', 'site.cpus', 'double(site.memory) / 1024.0'] as const;
const POLICIES = ['', '', '', '', 'job.cpus <= 64 && caller.dn != "/CN=nobody"'] as const;
const FEATURES = ['cuda', 'mpi', 'avx512', 'singularity'] as const;

const of = <T>(values: readonly T[], index: number): T => {
  const value = values[index % values.length];
  if (value === undefined) throw new TypeError('nothing to choose from');
  return value;
};

/** Deterministic: the same size, the same grid. */
export function openSyntheticGrid(size: GridSize): SyntheticGrid {
  const shares = openShareTree();
  const queues = openAskQueues();
  const jobs = new Map<string, JobRecord>();
  const asks = Array.from({ length: size.classes }, (_, n) => askOf(n)).map((ask, askId) => ({
    askId,
    ask,
    share: shares.leafOf(ask),
  }));
  for (let seq = 0; seq < size.jobs; seq += 1) {
    const job = jobOf(seq, of(asks, seq), size.tasksPerJob);
    jobs.set(job.id, job);
    queues.addJob(job);
  }
  let sites = Array.from({ length: size.sites }, (_, n) => siteAt(n, size, 0));
  let generation = 0;
  const rules = openRules();
  return {
    snapshot: () => ({
      nowMs: 0,
      sites,
      queues: queues.list(),
      shares: shares.sharesAt(0),
      rules,
      limit: size.freeSlots,
    }),
    carryOut: (placements) => {
      const left = new Map<SiteId, SiteView>(sites.map((site) => [site.id, site]));
      const free = new Map(sites.map((site) => [site.id, freeAt(site)]));
      for (const { job: id, ordinal, site, backlog } of placements) {
        const job = jobs.get(id);
        const room = free.get(site);
        if (job === undefined || job.nextOrdinal !== ordinal || ordinal >= job.tasks)
          throw new Error(`task ${ordinal} of ${id} does not wait`);
        const need = needOf(job.ask.resources);
        if (backlog || room === undefined || !fits(need, room) || !left.has(site))
          throw new Error(`${site} has no room for ${id}`);
        free.set(site, subtract(room, need));
        job.nextOrdinal += 1;
      }
    },
    outlook: (index, resources) => {
      const { askId, ask, share } = of(asks, index);
      const changed = { ...ask, resources: { ...ask.resources, ...resources } };
      const grid = { nowMs: 0, views: sites, rules, reservations: [], queues, shares };
      return outlookOn(grid, { ask: changed, key: String(askId), seq: size.jobs, share });
    },
    advertise: () => {
      generation += 1;
      sites = sites.map((_, n) => siteAt(n, size, n % 100 === generation % 100 ? generation : 0));
    },
  };
}

function askOf(n: number): Ask {
  const vo = of(VOS, n);
  return askFor(
    {
      owner: dn(`/DC=org/DC=${vo}/CN=User ${Math.floor(n / VOS.length) % OWNERS_PER_VO}`),
      vo,
      fqans: [`/${vo}/group-${n % 3}`],
      requirements: of(REQUIREMENTS, n >> 1),
      rank: of(RANKS, n >> 2),
    },
    { memoryBytes: (1 + (n % 4)) * (GIB / 4), walltimeMs: 600_000 * (1 + n) },
  );
}

function jobOf(seq: number, known: Pick<JobRecord, 'askId' | 'ask' | 'share'>, tasks: number) {
  const job: JobRecord = {
    id: jobId(`j${seq}`),
    seq,
    owner: known.ask.owner,
    vo: known.ask.vo,
    ...known,
    tasks,
    inputs: '',
    after: [],
    retries: 0,
    onLost: 'release',
    submittedAtMs: 0,
    nextOrdinal: 0,
    counts: { queued: tasks },
    reason: '',
    detail: '',
    ...NOTHING,
  };
  return job;
}

/** A tenth of the sites lets tasks wait, each for a time of its own. */
function waitsSeenAt(n: number): NonNullable<SiteView['waitMs']> {
  const seen = noteStart(NONE_SEEN, n % 10 === 0 ? 1_000 * n : 0, 0);
  return (_, way) => expectedWaitMs({ way, seen, stalledMs: 0, ownMs: 0 }, 60_000);
}

function siteAt(n: number, { sites, freeSlots }: GridSize, generation: number): SiteView {
  const freeCpus = Math.floor(freeSlots / sites) + (n < freeSlots % sites ? 1 : 0);
  const totalCpus = freeCpus + 8 * (1 + (n % 32)) + generation;
  return siteOf(
    siteId(`site-${String(n).padStart(5, '0')}`),
    {
      arch: n % 5 === 4 ? 'aarch64' : 'x86_64',
      features: FEATURES.filter((_, bit) => ((n >> bit) & 1) === 1),
      totalCpus,
      freeCpus,
      totalMemoryBytes: totalCpus * 4 * GIB,
      freeMemoryBytes: freeCpus * 4 * GIB,
      policy: of(POLICIES, n),
      price: n % 3,
    },
    { reserved: NO_NEED, waitMs: waitsSeenAt(n) },
  );
}
