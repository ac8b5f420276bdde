import { type FetchRule, formatFetchRules, unfetchedHost } from '../core/data/fetch-rules.ts';
import { type Dn, siteId, type VoName } from '../core/ids.ts';
import { type Containers, withoutImage } from '../core/job/image.ts';
import {
  demandedSandbox,
  isExposed,
  offeredSandbox,
  type SandboxDemand,
} from '../core/job/sandbox.ts';
import { missingModule, modulesLike, type SoftwareDemand } from '../core/job/software.ts';
import { fetchedHosts, type JobSpec, type Licences, type Resources } from '../core/job/spec.ts';
import type { AccountRule } from '../core/match/accounts.ts';
import { hasGpuModel } from '../core/match/gpu-model.ts';
import { missingLicence, type Need, needOf } from '../core/match/need.ts';
import type { Offer, Queue } from '../core/match/offer.ts';
import { queueRefusal } from '../core/match/queue.ts';
import { formatBytes, formatDuration } from '../core/units.ts';
import { boundedWords } from '../core/words.ts';
import type { SiteSize } from './lrms/open-lrms.ts';
import type { DiskSpace } from './staging/disk-room.ts';

/** What does not change while the gateway runs. */
export interface SiteFacts {
  readonly site: string;
  readonly version: string;
  readonly lrms: string;
  readonly arch: string;
  readonly os: string;
  readonly features: readonly string[];
  readonly vos: readonly VoName[];
  readonly policy: string;
  /** Undefined for twice the CPUs. */
  readonly backlog: number | undefined;
  readonly nkey: string;
  readonly admins: readonly Dn[];
  readonly gpuModels: readonly string[];
  readonly licences: Licences;
  readonly price: number;
  /** Who gets an account of the site; empty where all tasks run as the gateway. */
  readonly accounts: readonly AccountRule[];
  /** Environment modules that tasks may load. */
  readonly modules: readonly string[];
  /** Hosts that inputs are fetched from. */
  readonly fetchFrom: readonly FetchRule[];
  /** What runs the images of jobs. */
  readonly containers: Containers | undefined;
}

/** What the site has at the moment. */
export interface SiteNow {
  readonly size: SiteSize;
  readonly disk: DiskSpace;
  /** What attempts have or wait for. */
  readonly committed: Need;
  readonly closedReason: string;
  readonly warmTrees: readonly string[];
}

/** The offer now: what is free is what no accepted attempt has or waits for. */
export function offerOf(facts: SiteFacts, now: SiteNow): Offer {
  const { site, version, backlog, licences, ...rest } = facts;
  const { size, committed, disk, closedReason, warmTrees } = now;
  const free = (usable: number, taken: number): number => Math.max(0, usable - taken);
  return {
    ...rest,
    site: siteId(site),
    gatewayVersion: version,
    backlog: backlog ?? 2 * size.cpus,
    totalCpus: size.cpus,
    freeCpus: free(size.usableCpus, committed.cpus),
    totalMemoryBytes: size.memoryBytes,
    freeMemoryBytes: free(size.usableMemoryBytes, committed.memoryBytes),
    totalGpus: size.gpus,
    freeGpus: free(size.usableGpus, committed.gpus),
    maxNodes: size.maxNodes,
    maxWalltimeMs: size.maxWalltimeMs,
    warmTrees,
    closedReason: boundedWords(closedReason),
    totalDiskBytes: disk.totalBytes,
    // What a task asked for is set aside until it ends, filled or not.
    freeDiskBytes: free(disk.availableBytes, committed.diskBytes),
    licences: Object.entries(licences).map(([name, total]) => ({
      name,
      total,
      free: free(total, committed.licences[name] ?? 0),
    })),
    gpuModels: gpuModelsOf(facts, size),
    queues: queuesOf(facts, size.queues),
    expectedWaitMs: size.expectedWaitMs ?? 0,
  };
}

/** Why a task can never run here; undefined when it can. */
export function tooLarge(
  facts: SiteFacts,
  now: Pick<SiteNow, 'size' | 'disk'>,
  asked: Resources,
): string | undefined {
  const { size, disk } = now;
  const { cpus, memoryBytes, gpus } = needOf(asked);
  if (asked.nodes > size.maxNodes)
    return `it asks for ${asked.nodes} nodes, the site has ${size.maxNodes}`;
  if (cpus > size.cpus) return `it asks for ${cpus} CPUs, the site has ${size.cpus}`;
  if (gpus > size.gpus) return `it asks for ${gpus} GPUs, the site has ${size.gpus}`;
  if (memoryBytes > size.memoryBytes)
    return `it asks for ${formatBytes(memoryBytes)} of memory, the site has ${formatBytes(size.memoryBytes)}`;
  if (size.maxWalltimeMs > 0 && asked.walltimeMs > size.maxWalltimeMs)
    return `it asks for ${formatDuration(asked.walltimeMs)}, the site allows ${formatDuration(size.maxWalltimeMs)}`;
  if (asked.diskBytes > disk.totalBytes)
    return `it asks for ${formatBytes(asked.diskBytes)} of disk, the site has ${formatBytes(disk.totalBytes)}`;
  return notInStock(facts, gpuModelsOf(facts, size), asked) ?? noQueueFor(facts, size, asked);
}

/** Why the site cannot put a task where the job wants it; undefined when it can. */
export function tooExposed(
  { features }: SiteFacts,
  demand: SandboxDemand & SoftwareDemand,
): string | undefined {
  const sandbox = demandedSandbox(demand);
  if (!isExposed(features, { ...demand, sandbox })) return undefined;
  return `it demands sandbox ${sandbox}, the site has ${offeredSandbox(features)}`;
}

/** Why the site cannot give a task the modules or the image of the job; undefined when it can. */
export function withoutSoftware(
  facts: SiteFacts,
  { modules = [], image }: SoftwareDemand,
): { readonly reason: string; readonly detail: string } | undefined {
  const name = missingModule(modules, facts.modules);
  if (name !== undefined) {
    const detail = `it loads module ${name}, the site has ${modulesLike(name, facts.modules)}`;
    return { reason: 'MODULE_MISSING', detail };
  }
  const instead = image === undefined ? undefined : withoutImage(image, facts.containers);
  if (instead === undefined) return undefined;
  return { reason: 'IMAGE_DENIED', detail: `it runs in image ${image}, the site has ${instead}` };
}

/** Why the site does not fetch what the job wants of elsewhere; undefined when it does. */
export function unfetched({ fetchFrom }: SiteFacts, spec: JobSpec): string | undefined {
  const host = unfetchedHost(fetchedHosts(spec), fetchFrom);
  if (host === undefined) return undefined;
  return `it needs a file from ${host}, the site fetches from ${formatFetchRules(fetchFrom)}`;
}

/** The models of a queue whose batch system does not tell are those that the site's administrator has named. */
const queuesOf = ({ gpuModels }: SiteFacts, queues: readonly Queue[]): readonly Queue[] =>
  queues.map((queue) =>
    queue.gpusPerNode > 0 && queue.gpuModels.length === 0 ? { ...queue, gpuModels } : queue,
  );

const gpuModelsOf = ({ gpuModels }: SiteFacts, { queues }: SiteSize): readonly string[] => [
  ...new Set([...gpuModels, ...queues.flatMap((queue) => queue.gpuModels)]),
];

function noQueueFor(
  facts: SiteFacts,
  { queues }: SiteSize,
  resources: Resources,
): string | undefined {
  const refusal = queueRefusal({ resources }, { queues: queuesOf(facts, queues) });
  return refusal && `it ${refusal.detail}`;
}

function notInStock(
  { licences }: SiteFacts,
  gpuModels: readonly string[],
  asked: Resources,
): string | undefined {
  const { gpuModel } = asked;
  if (gpuModel !== '' && !hasGpuModel(gpuModels, gpuModel))
    return `it asks for a GPU of model ${gpuModel}, the site has ${gpuModels.join(', ') || 'none'}`;
  const name = missingLicence(asked.licences, licences);
  if (name === undefined) return undefined;
  return `it asks for ${asked.licences[name]} of licence ${name}, the site has ${licences[name] ?? 0}`;
}
