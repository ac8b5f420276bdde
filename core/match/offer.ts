import type { Dn, SiteId, VoName } from '../ids.ts';

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
}
