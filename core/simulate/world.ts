import type { JobId, SiteId } from '../ids.ts';
import type { Ask } from '../match/ask.ts';
import type { Offer } from '../match/offer.ts';
import type { ShareNode } from '../share/shares.ts';

/** A time at which a site takes nothing new; in an outage it also loses what it has. */
export interface Outage {
  readonly kind: 'outage' | 'drain';
  readonly fromMs: number;
  readonly toMs: number;
}

/** A site as it is simulated. */
export interface SimSite {
  /** What it offers when nothing runs there. */
  readonly offer: Offer;
  /** Work that it does in a second; a task's run time is for speed 1. */
  readonly speed: number;
  /** Probability that it fails an attempt, from 0 to 1. */
  readonly failure: number;
  readonly outages: readonly Outage[];
}

/** A job of the workload, the same under every policy. */
export interface SimJob {
  readonly id: JobId;
  /** Rises with the time of submission, from 0 on. */
  readonly seq: number;
  readonly submitAtMs: number;
  readonly ask: Ask;
  /** What each of its tasks runs at speed 1. */
  readonly runtimesMs: readonly number[];
}

/** What is set for a VO, a group or a user; who is not named weighs 1 and has no cap. */
export interface ShareSetting {
  readonly node: ShareNode;
  readonly weight: number;
  readonly runningCpus: number | undefined;
}

/** A way of scheduling that is compared with others. */
export interface SchedulingPolicy {
  readonly name: string;
  /** Off: first come, first served. */
  readonly fairShare: boolean;
  /** After so long usage counts half. */
  readonly halfLifeMs: number;
  /** Whether what is wide gets a reservation, so that what is narrow does not starve it. */
  readonly reservations: boolean;
  /** Instead of each site's own. */
  readonly backlog: number | undefined;
  /** CEL for the jobs, '' for the grid's own order of sites. */
  readonly rank: string;
  /** The shortest time from one round to the next. */
  readonly roundIntervalMs: number;
}

/** All that a simulation runs on. */
export interface World {
  readonly seed: number;
  readonly sites: readonly SimSite[];
  /** By time of submission. */
  readonly jobs: readonly SimJob[];
  readonly shares: readonly ShareSetting[];
  /** Nothing happens from here on; Infinity to run until all is done. */
  readonly untilMs: number;
}

/** One try of a task, as it went. */
export interface EndedAttempt {
  readonly job: SimJob;
  readonly ordinal: number;
  readonly site: SiteId;
  readonly startMs: number;
  readonly endMs: number;
  /** `killed` at its walltime, `lost` with its site, `running` when the simulation ended. */
  readonly ended: 'done' | 'failed' | 'killed' | 'lost' | 'running';
  /** No other try follows. */
  readonly last: boolean;
}

/** What came of a simulation. */
export interface History {
  readonly attempts: readonly EndedAttempt[];
  readonly rounds: number;
  readonly placements: number;
  readonly endMs: number;
}
