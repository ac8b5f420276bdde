import type { Dn, SiteId, VoName } from '../ids.ts';
import { demandedSandbox, type Sandbox } from '../job/sandbox.ts';
import { fetchedHosts, type JobSpec, type Licences, type Resources } from '../job/spec.ts';
import type { Caller } from '../vo/caller.ts';
import { formatFqan } from '../vo/fqan.ts';
import type { Offer, Queue } from './offer.ts';

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
  /** The least class that will do, where it is not any. */
  readonly sandbox?: Sandbox;
  /** Modules that it loads, sorted, where it loads any. */
  readonly modules?: readonly string[];
  /** Hosts that inputs of it are fetched from, `host` or `host:port`, sorted, where there are any. */
  readonly fetches?: readonly string[];
  /** Image that it runs in, where it names one. */
  readonly image?: string;
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

/** `requirements` and `rank` of a job see `site`, `queue`, `job` and `caller`; the `policy` of a site sees the last two. */
export type ExpressionKind = 'requirements' | 'rank' | 'policy';

/** What an expression looks at, as far as it matters to whoever keeps its results. */
export interface Reads {
  /** What the job asks for. */
  readonly job: boolean;
  /** Whose job it is. */
  readonly caller: boolean;
  /** The queue that would take the job. */
  readonly queue: boolean;
  /** Values that change while the site offers the same: what is free, what is waited for, and which queue is the best. */
  readonly momentary: boolean;
}

/** The expressions of jobs and sites, compiled at the edge. None of them throws. */
export interface Rules {
  /**
   * Whether the job's `requirements` hold at a site; they do where there are none. Without a queue, `queue` in them is
   * the site as a whole.
   */
  meets(ask: Ask, offer: Offer, queue?: Queue): Verdict;
  /** Whether the site's `policy` lets the job in; it does where there is none. */
  welcomes(offer: Offer, ask: Ask): Verdict;
  /** The job's own `rank` of a site, highest first; 0 where there is none, -Infinity where it comes to no number. */
  rank(ask: Ask, offer: Offer, queue?: Queue): number;
  /** What the text of an expression looks at; the empty one at nothing. */
  reads(kind: ExpressionKind, text: string): Reads;
  /** The terms of `requirements` that all have to hold; joined by `&&` they say the same. */
  terms(requirements: string): readonly string[];
}

/** The ask of a job; `caller` is its owner. */
export function askOf(spec: JobSpec, caller: Caller): Ask {
  const sandbox = demandedSandbox(spec);
  const fetches = fetchedHosts(spec);
  return {
    owner: caller.dn,
    vo: spec.vo,
    fqans: caller.fqans.map(formatFqan),
    ...(spec.group === undefined ? {} : { group: spec.group }),
    resources: {
      cpus: spec.resources.cpus,
      memoryBytes: spec.resources.memoryBytes,
      gpus: spec.resources.gpus,
      nodes: spec.resources.nodes,
      walltimeMs: spec.resources.walltimeMs,
      diskBytes: spec.resources.diskBytes,
      gpuModel: spec.resources.gpuModel,
      licences: sortedByName(spec.resources.licences),
    },
    ...(sandbox === 'account' ? {} : { sandbox }),
    ...(spec.modules === undefined ? {} : { modules: spec.modules.toSorted() }),
    ...(fetches.length === 0 ? {} : { fetches }),
    ...(spec.image === undefined ? {} : { image: spec.image }),
    requirements: spec.requirements,
    rank: spec.rank,
    sites: spec.sites.toSorted(),
    excludeSites: spec.excludeSites.toSorted(),
  };
}

const sortedByName = (licences: Licences): Licences =>
  Object.fromEntries(Object.entries(licences).toSorted(([a], [b]) => (a < b ? -1 : 1)));

/** Text that two asks share exactly when they are equal; `parseAsk` reads it back. */
export const formatAsk = (ask: Ask): string => JSON.stringify(ask);

/** An ask of an older broker lacks what it did not know. */
export function parseAsk(text: string): Ask {
  const ask = JSON.parse(text) as Ask;
  const older: Partial<Resources> = ask.resources;
  const { diskBytes = 0, gpuModel = '', licences = {} } = older;
  return { ...ask, resources: { ...ask.resources, diskBytes, gpuModel, licences } };
}
