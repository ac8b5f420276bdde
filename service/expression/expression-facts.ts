import type { Ask } from '../../core/match/ask.ts';
import type { Offer, Queue } from '../../core/match/offer.ts';
import {
  type CALLER,
  type JOB,
  MAX_LIST_ITEMS,
  type QUEUE,
  type SITE,
} from './expression-language.ts';

/** What expressions see of a job: just what its ask class has. */
export type JobView = Pick<Ask, 'vo' | 'resources'>;

/** What they see of whose it is; FQANs as text. */
export interface CallerView {
  readonly dn: string;
  readonly fqans: readonly string[];
}

type Facts<S> = {
  readonly [K in keyof S]: S[K] extends 'int'
    ? bigint
    : S[K] extends 'double'
      ? number
      : S[K] extends 'string'
        ? string
        : readonly string[];
};

// One offer is looked at by many jobs and one job by many sites: the conversion is kept with the object.
const siteFactsOf = new WeakMap<Offer, Facts<typeof SITE>>();
const wholeFactsOf = new WeakMap<Offer, Facts<typeof QUEUE>>();
const queueFactsOf = new WeakMap<Queue, Facts<typeof QUEUE>>();
const jobFactsOf = new WeakMap<JobView, Facts<typeof JOB>>();

function kept<K extends object, V>(cache: WeakMap<K, V>, key: K, make: () => V): V {
  const known = cache.get(key);
  if (known !== undefined) return known;
  const made = make();
  cache.set(key, made);
  return made;
}

const seconds = (ms: number): bigint => BigInt(Math.ceil(ms / 1_000));
const items = (list: readonly string[]): readonly string[] =>
  list.length > MAX_LIST_ITEMS ? list.slice(0, MAX_LIST_ITEMS) : list;

export const siteFacts = (offer: Offer): Facts<typeof SITE> =>
  kept(siteFactsOf, offer, () => ({
    id: offer.site,
    arch: offer.arch,
    os: offer.os,
    lrms: offer.lrms,
    features: items(offer.features),
    queues: items(offer.queues.map(({ name }) => name)),
    gpu_models: items(offer.gpuModels),
    licences: items(offer.licences.map(({ name }) => name)),
    cpus: BigInt(offer.totalCpus),
    memory: BigInt(offer.totalMemoryBytes),
    gpus: BigInt(offer.totalGpus),
    disk: BigInt(offer.totalDiskBytes),
    free_cpus: BigInt(offer.freeCpus),
    free_memory: BigInt(offer.freeMemoryBytes),
    free_gpus: BigInt(offer.freeGpus),
    free_disk: BigInt(offer.freeDiskBytes),
    max_nodes: BigInt(offer.maxNodes),
    max_walltime: seconds(offer.maxWalltimeMs),
    price: offer.price,
    expected_wait: seconds(offer.expectedWaitMs),
  }));

/** Without a queue it is the site as a whole, under the empty name. */
export function queueFacts(offer: Offer, queue: Queue | undefined): Facts<typeof QUEUE> {
  if (queue !== undefined)
    return kept(queueFactsOf, queue, () => ({
      name: queue.name,
      features: items([...new Set([...queue.features, ...offer.features])]),
      gpu_models: items(queue.gpuModels),
      cpus: BigInt(queue.totalCpus),
      free_cpus: BigInt(queue.freeCpus),
      cpus_per_node: BigInt(queue.cpusPerNode),
      memory_per_node: BigInt(queue.memoryPerNodeBytes),
      gpus_per_node: BigInt(queue.gpusPerNode),
      max_nodes: BigInt(queue.maxNodes),
      max_walltime: seconds(queue.maxWalltimeMs),
    }));
  const nodes = Math.max(1, offer.maxNodes);
  const each = (total: number): bigint => BigInt(Math.ceil(total / nodes));
  return kept(wholeFactsOf, offer, () => ({
    name: '',
    features: items(offer.features),
    gpu_models: items(offer.gpuModels),
    cpus: BigInt(offer.totalCpus),
    free_cpus: BigInt(offer.freeCpus),
    cpus_per_node: each(offer.totalCpus),
    memory_per_node: each(offer.totalMemoryBytes),
    gpus_per_node: each(offer.totalGpus),
    max_nodes: BigInt(offer.maxNodes),
    max_walltime: seconds(offer.maxWalltimeMs),
  }));
}

export const jobFacts = (job: JobView): Facts<typeof JOB> =>
  kept(jobFactsOf, job, () => ({
    vo: job.vo,
    cpus: BigInt(job.resources.cpus),
    memory: BigInt(job.resources.memoryBytes),
    gpus: BigInt(job.resources.gpus),
    gpu_model: job.resources.gpuModel,
    nodes: BigInt(job.resources.nodes),
    walltime: seconds(job.resources.walltimeMs),
    disk: BigInt(job.resources.diskBytes),
  }));

/** The VO is the job's. */
export const callerFacts = ({ dn, fqans }: CallerView, vo: string): Facts<typeof CALLER> => ({
  dn,
  vo,
  fqans: items(fqans),
});
