import { type Dn, siteId, type VoName } from '../core/ids.ts';
import type { Resources } from '../core/job/spec.ts';
import { type Need, needOf } from '../core/match/need.ts';
import type { Offer } from '../core/match/offer.ts';
import { formatBytes, formatDuration } from '../core/units.ts';
import type { SiteSize } from './open-lrms.ts';

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
}

/** The offer now: what is free is what no accepted attempt has or waits for. */
export function offerOf(
  facts: SiteFacts,
  size: SiteSize,
  committed: Need,
  closedReason: string,
  warmTrees: readonly string[],
): Offer {
  const { site, version, backlog, ...rest } = facts;
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
    closedReason,
    totalDiskBytes: 0,
    freeDiskBytes: 0,
    gpuModels: [],
    licences: [],
    queues: size.queues,
    price: 0,
    expectedWaitMs: 0,
  };
}

/** Why a task can never run here; undefined when it can. */
export function tooLarge(size: SiteSize, asked: Resources): string | undefined {
  const { cpus, memoryBytes, gpus } = needOf(asked);
  if (asked.nodes > size.maxNodes)
    return `it asks for ${asked.nodes} nodes, the site has ${size.maxNodes}`;
  if (cpus > size.cpus) return `it asks for ${cpus} CPUs, the site has ${size.cpus}`;
  if (gpus > size.gpus) return `it asks for ${gpus} GPUs, the site has ${size.gpus}`;
  if (memoryBytes > size.memoryBytes)
    return `it asks for ${formatBytes(memoryBytes)} of memory, the site has ${formatBytes(size.memoryBytes)}`;
  if (size.maxWalltimeMs > 0 && asked.walltimeMs > size.maxWalltimeMs)
    return `it asks for ${formatDuration(asked.walltimeMs)}, the site allows ${formatDuration(size.maxWalltimeMs)}`;
  return undefined;
}
