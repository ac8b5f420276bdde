import { dn, siteId, voName } from '../../core/ids.ts';
import type { JobSpec, Resources } from '../../core/job/spec.ts';
import type { Ask, Rules } from '../../core/match/ask.ts';
import { NO_NEED } from '../../core/match/need.ts';
import type { Offer, Queue } from '../../core/match/offer.ts';
import type { SiteView } from '../../core/match/site-view.ts';

const GIB = 2 ** 30;

/** An idle PC: 4 cores, 8 GiB. */
export const offerOf = (site: string, details: Partial<Offer> = {}): Offer => ({
  site: siteId(site),
  gatewayVersion: 'test',
  lrms: 'fork',
  arch: 'x86_64',
  os: 'linux',
  features: [],
  totalCpus: 4,
  freeCpus: 4,
  totalMemoryBytes: 8 * GIB,
  freeMemoryBytes: 8 * GIB,
  totalGpus: 0,
  freeGpus: 0,
  maxNodes: 1,
  maxWalltimeMs: 0,
  vos: [],
  policy: '',
  backlog: 0,
  nkey: '',
  warmTrees: [],
  closedReason: '',
  admins: [],
  totalDiskBytes: 100 * GIB,
  freeDiskBytes: 100 * GIB,
  gpuModels: [],
  licences: [],
  queues: [],
  price: 0,
  expectedWaitMs: 0,
  accounts: [],
  modules: [],
  ...details,
});

/** A queue of one node like the PC, without limits of its own. */
export const queueOf = (name: string, details: Partial<Queue> = {}): Queue => ({
  name,
  maxWalltimeMs: 0,
  maxCpus: 0,
  maxNodes: 0,
  cpusPerNode: 4,
  memoryPerNodeBytes: 8 * GIB,
  totalCpus: 4,
  freeCpus: 4,
  features: [],
  isDefault: false,
  gpusPerNode: 0,
  gpuModels: [],
  kinds: [],
  ...details,
});

/** A site that is up. */
export const siteOf = (
  site: string,
  details: Partial<Offer> = {},
  view: Partial<SiteView> = {},
): SiteView => ({
  id: siteId(site),
  status: 'up',
  offer: offerOf(site, details),
  reserved: NO_NEED,
  waiting: 0,
  ...view,
});

/** One core, 1 GiB, an hour. */
export const resourcesOf = (details: Partial<Resources> = {}): Resources => ({
  cpus: 1,
  memoryBytes: GIB,
  gpus: 0,
  nodes: 1,
  walltimeMs: 3_600_000,
  diskBytes: 0,
  gpuModel: '',
  licences: {},
  ...details,
});

/** One core, 1 GiB, an hour, of Alice. */
export const askFor = (
  details: Partial<Ask> = {},
  resources: Partial<Ask['resources']> = {},
): Ask => ({
  owner: dn('/DC=org/DC=test/CN=Alice'),
  vo: voName('demo'),
  fqans: ['/demo'],
  requirements: '',
  rank: '',
  sites: [],
  excludeSites: [],
  ...details,
  resources: resourcesOf(resources),
});

/** A job that does nothing. */
export const specOf = (details: Partial<JobSpec> = {}): JobSpec => ({
  name: 'test',
  command: ['true'],
  env: {},
  inputs: [],
  outputs: [],
  resources: askFor().resources,
  requirements: '',
  rank: '',
  after: [],
  retries: 0,
  vo: voName('demo'),
  sites: [],
  excludeSites: [],
  stdin: '',
  onLost: 'release',
  ...details,
});

/** No expressions at all. */
export const NO_RULES: Rules = {
  meets: () => ({ holds: true, reason: '' }),
  welcomes: () => ({ holds: true, reason: '' }),
  rank: () => 0,
  reads: () => ({ job: false, caller: false, queue: false, momentary: false }),
  terms: () => [],
};
