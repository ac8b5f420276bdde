import { type Dn, siteId, type VoName } from '../core/ids.ts';
import type { Resources } from '../core/job/spec.ts';
import type { Offer } from '../core/match/offer.ts';
import { formatBytes, formatDuration } from '../core/units.ts';
import type { Committed } from './supervisor.ts';

/** What does not change while the gateway runs. */
export interface SiteFacts {
  readonly site: string;
  readonly version: string;
  readonly lrms: string;
  readonly arch: string;
  readonly os: string;
  readonly features: readonly string[];
  readonly cpus: number;
  readonly memoryBytes: number;
  readonly gpus: number;
  readonly maxWalltimeMs: number;
  readonly vos: readonly VoName[];
  readonly policy: string;
  readonly backlog: number;
  readonly nkey: string;
  readonly admins: readonly Dn[];
}

/** The offer now: what is free is what no accepted attempt has or waits for. */
export function offerOf(
  facts: SiteFacts,
  committed: Committed,
  closedReason: string,
  warmTrees: readonly string[],
): Offer {
  const { site, version, cpus, memoryBytes, gpus, ...rest } = facts;
  return {
    ...rest,
    site: siteId(site),
    gatewayVersion: version,
    totalCpus: cpus,
    freeCpus: Math.max(0, cpus - committed.cpus),
    totalMemoryBytes: memoryBytes,
    freeMemoryBytes: Math.max(0, memoryBytes - committed.memoryBytes),
    totalGpus: gpus,
    freeGpus: gpus,
    maxNodes: 1,
    warmTrees,
    closedReason,
    totalDiskBytes: 0,
    freeDiskBytes: 0,
    gpuModels: [],
    licences: [],
    queues: [],
    price: 0,
    expectedWaitMs: 0,
  };
}

/** Why a task can never run here; undefined when it can. */
export function tooLarge(facts: SiteFacts, asked: Resources): string | undefined {
  if (asked.nodes > 1) return `it asks for ${asked.nodes} nodes, the site has one`;
  if (asked.cpus > facts.cpus) return `it asks for ${asked.cpus} CPUs, the site has ${facts.cpus}`;
  if (asked.gpus > facts.gpus) return `it asks for ${asked.gpus} GPUs, the site has ${facts.gpus}`;
  if (asked.memoryBytes > facts.memoryBytes)
    return `it asks for ${formatBytes(asked.memoryBytes)} of memory, the site has ${formatBytes(facts.memoryBytes)}`;
  if (facts.maxWalltimeMs > 0 && asked.walltimeMs > facts.maxWalltimeMs)
    return `it asks for ${formatDuration(asked.walltimeMs)}, the site allows ${formatDuration(facts.maxWalltimeMs)}`;
  return undefined;
}
