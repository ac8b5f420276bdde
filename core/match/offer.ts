import type { FetchRule } from '../data/fetch-rules.ts';
import type { Dn, SiteId, VoName } from '../ids.ts';
import type { Containers } from '../job/image.ts';
import type { AccountRule } from './accounts.ts';

/** Licences of one kind, which a site counts. */
export interface LicencePool {
  readonly name: string;
  readonly total: number;
  readonly free: number;
}

/** Nodes of a queue that are alike. */
export interface NodeKind {
  /** How many there are. */
  readonly nodes: number;
  /** Of each; 0 when not known. */
  readonly cpus: number;
  /** Of each; 0 when not known. */
  readonly memoryBytes: number;
  /** Of each. */
  readonly gpus: number;
  /** Empty when not known. */
  readonly gpuModels: readonly string[];
  /** On all of them together. */
  readonly freeCpus: number;
}

/** A queue of the batch system with its limits for one job. */
export interface Queue {
  readonly name: string;
  /** 0 for no limit. */
  readonly maxWalltimeMs: number;
  /** Cores of one job on all its nodes together; 0 for no limit. */
  readonly maxCpus: number;
  /** 0 for no limit of its own. */
  readonly maxNodes: number;
  /** Of its largest node; 0 when not known. */
  readonly cpusPerNode: number;
  /** Of its largest node; 0 when not known. */
  readonly memoryPerNodeBytes: number;
  readonly totalCpus: number;
  readonly freeCpus: number;
  /** Beside those of the site. */
  readonly features: readonly string[];
  /** Whether the batch system takes it where a job names none. */
  readonly isDefault: boolean;
  readonly gpusPerNode: number;
  readonly gpuModels: readonly string[];
  /** Where there are several; empty where all nodes are alike, or not known. */
  readonly kinds: readonly NodeKind[];
}

/** What a site has to offer, as its gateway advertised it last. */
export interface Offer {
  readonly site: SiteId;
  readonly gatewayVersion: string;
  /** Kind of batch system, for instance `fork`. */
  readonly lrms: string;
  readonly arch: string;
  readonly os: string;
  readonly features: readonly string[];
  readonly totalCpus: number;
  readonly freeCpus: number;
  readonly totalMemoryBytes: number;
  readonly freeMemoryBytes: number;
  readonly totalGpus: number;
  readonly freeGpus: number;
  readonly maxNodes: number;
  /** 0 for no limit. */
  readonly maxWalltimeMs: number;
  /** Empty means every VO that the broker serves. */
  readonly vos: readonly VoName[];
  /** CEL over `job` and `caller`; empty means all are welcome. */
  readonly policy: string;
  /** Tasks that it takes beyond what it can start now. */
  readonly backlog: number;
  /** Public NKEY of the gateway; staging tickets are made out to it. */
  readonly nkey: string;
  /** Digests (hex) of input trees that are warm in its cache. */
  readonly warmTrees: readonly string[];
  /** Why it takes nothing new; empty when it does. */
  readonly closedReason: string;
  /** DNs that may drain and resume it. */
  readonly admins: readonly Dn[];
  readonly totalDiskBytes: number;
  readonly freeDiskBytes: number;
  readonly gpuModels: readonly string[];
  readonly licences: readonly LicencePool[];
  /** Empty for a site that is one queue as a whole. */
  readonly queues: readonly Queue[];
  /** Of a core for an hour, in whatever unit the sites agreed on. */
  readonly price: number;
  /** How long a task waits there before it starts, as the site believes; 0 for not at all or not known. */
  readonly expectedWaitMs: number;
  /** Who gets an account of the site, the first that fits; empty where all tasks run under one. */
  readonly accounts: readonly AccountRule[];
  /** Environment modules that tasks may load, such as `gcc/13`. */
  readonly modules: readonly string[];
  /** Hosts that it fetches inputs from; absent where its gateway does not say. */
  readonly fetchFrom?: readonly FetchRule[];
  /** What runs the images of jobs; absent where nothing does. */
  readonly containers?: Containers | undefined;
}
