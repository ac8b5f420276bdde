import type { Dn, SiteId, VoName } from '../ids.ts';
import type { JobSpec, Resources } from '../job/spec.ts';
import type { Caller } from '../vo/caller.ts';
import { formatFqan } from '../vo/fqan.ts';
import type { Offer } from './offer.ts';

/** All that matching looks at. Jobs with equal asks are one ask class and are matched together. */
export interface Ask {
  readonly owner: Dn;
  readonly vo: VoName;
  /** The owner's attributes at submit, as text. */
  readonly fqans: readonly string[];
  /** The group that is charged, where the job names one. */
  readonly group?: string;
  readonly resources: Resources;
  readonly requirements: string;
  readonly rank: string;
  /** Sorted; empty means any. */
  readonly sites: readonly SiteId[];
  /** Sorted. */
  readonly excludeSites: readonly SiteId[];
}

/** What a condition came to; `reason` says why it could not be evaluated, and is empty otherwise. */
export interface Verdict {
  readonly holds: boolean;
  readonly reason: string;
}

/** The expressions of jobs and sites, compiled at the edge. None of them throws. */
export interface Rules {
  /** Whether the job's `requirements` hold at a site; they do where there are none. */
  meets(ask: Ask, offer: Offer): Verdict;
  /** Whether the site's `policy` lets the job in; it does where there is none. */
  welcomes(offer: Offer, ask: Ask): Verdict;
  /** The job's own `rank` of a site, a finite number, highest first; 0 where there is none. */
  rank(ask: Ask, offer: Offer): number;
}

/** What a task takes from a site. */
export interface Need {
  readonly cpus: number;
  readonly memoryBytes: number;
  readonly gpus: number;
}

/** All of a task's nodes together. */
export function needOf({ cpus, memoryBytes, gpus, nodes }: Resources): Need {
  return { cpus: cpus * nodes, memoryBytes: memoryBytes * nodes, gpus: gpus * nodes };
}

/** The ask of a job; `caller` is its owner. */
export function askOf(spec: JobSpec, caller: Caller): Ask {
  return {
    owner: caller.dn,
    vo: spec.vo,
    fqans: caller.fqans.map(formatFqan),
    resources: {
      cpus: spec.resources.cpus,
      memoryBytes: spec.resources.memoryBytes,
      gpus: spec.resources.gpus,
      nodes: spec.resources.nodes,
      walltimeMs: spec.resources.walltimeMs,
    },
    requirements: spec.requirements,
    rank: spec.rank,
    sites: spec.sites.toSorted(),
    excludeSites: spec.excludeSites.toSorted(),
  };
}

/** Text that two asks share exactly when they are equal; `parseAsk` reads it back. */
export const formatAsk = (ask: Ask): string => JSON.stringify(ask);
export const parseAsk = (text: string): Ask => JSON.parse(text) as Ask;
