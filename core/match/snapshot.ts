import type { JobId, SiteId } from '../ids.ts';
import type { Shares } from '../share/shares.ts';
import type { Ask, Rules } from './ask.ts';
import type { Need } from './need.ts';
import type { Refusal } from './refusal.ts';
import type { SiteView } from './site-view.ts';

/** Tasks of one job that wait; those of an array that have not come into being yet are one item. */
export interface QueueItem {
  readonly job: JobId;
  /** Rises with the time of submission. */
  readonly seq: number;
  readonly firstOrdinal: number;
  /** How many tasks from `firstOrdinal` on. */
  readonly tasks: number;
  /** Sites that have just failed it; taken only where nothing else could ever do. */
  readonly avoid: readonly SiteId[];
  /** Not to be placed before this instant; 0 for at once. */
  readonly notBeforeMs: number;
  /** Digest of the input tree, '' for none. */
  readonly inputs: string;
  /** How many tasks of the job may be placed now, all of its items together; absent for no limit. */
  readonly left?: number;
}

/** Waiting tasks of one ask class, first come first. */
export interface AskQueue {
  /** Names the class; no two queues share it. */
  readonly key: string;
  readonly ask: Ask;
  readonly items: Iterable<QueueItem>;
}

/** All that a round looks at. Offers and asks are never changed in place: another value is another object. */
export interface Snapshot {
  readonly nowMs: number;
  readonly sites: readonly SiteView[];
  readonly queues: readonly AskQueue[];
  readonly shares: Shares;
  readonly rules: Rules;
  /** The most placements of this round. */
  readonly limit: number;
  /** Those of the round before; a round without them promises anew. */
  readonly reservations?: readonly Reservation[];
  /** Whether turns go by shares (which is the default) or by age alone, in which case nobody is capped. */
  readonly order?: 'shares' | 'arrival';
}

/** A task and the site that gets it. */
export interface Placement {
  readonly job: JobId;
  readonly ordinal: number;
  readonly site: SiteId;
  /** Whether it goes into the site's backlog because nothing is free there now. */
  readonly backlog: boolean;
}

/**
 * Room at a site that is kept for the first task of an ask class, which needs more than one running task gives back.
 * Others may have it only while they end, by their walltime, before `fromMs`.
 */
export interface Reservation {
  readonly key: string;
  readonly job: JobId;
  readonly ordinal: number;
  readonly site: SiteId;
  /** When enough is free, by the walltimes of what runs there. It never moves to a later instant. */
  readonly fromMs: number;
  /** What others may have beside it for as long as they like. */
  readonly spare: Need;
}

/** What a round decided. */
export interface RoundResult {
  readonly placements: readonly Placement[];
  /** For each ask class that was left waiting for lack of a site: gives every site with its refusal. */
  readonly refusals: ReadonlyMap<string, () => ReadonlyMap<SiteId, Refusal>>;
  /** For the next round. */
  readonly reservations: readonly Reservation[];
}
