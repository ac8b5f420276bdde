import type { SiteId } from '../ids.ts';
import type { Need } from './need.ts';
import type { Offer } from './offer.ts';
import type { WaitKind, Way } from './waits.ts';

/** How a site stands with the broker. */
export type SiteStatus = 'unknown' | 'up' | 'unreachable' | 'draining' | 'lost';

/** A site as a round sees it. */
export interface SiteView {
  readonly id: SiteId;
  readonly status: SiteStatus;
  /** Absent until the site has been heard of. */
  readonly offer?: Offer;
  /** What was placed there and its offer does not show yet. */
  readonly reserved: Need;
  /** Attempts there that wait in the site's backlog. */
  readonly waiting: number;
  /** What runs there for the grid: what each gives back, and when at the latest. */
  readonly runs?: Iterable<Run>;
  /** What waits in its backlog, first come first. */
  readonly backlogged?: Iterable<Backlogged>;
  /** How long one more task of a kind is expected to wait there; absent where only the site itself says. */
  readonly waitMs?: (kind: WaitKind, way: Way) => number;
  /** Why the broker keeps tasks away from it; absent where it does not. */
  readonly quarantined?: string;
  /** Whether one task is let in although it is quarantined, to see how it does. */
  readonly probe?: boolean;
}

/** A task that has started, or has been placed to start at once. */
export interface Run {
  readonly endsByMs: number;
  readonly need: Need;
}

/** A task in a backlog. */
export interface Backlogged {
  readonly need: Need;
  readonly walltimeMs: number;
}

/** How long a task of a kind is expected to wait at a site. */
export const waitAt = ({ waitMs, offer }: SiteView, kind: WaitKind, way: Way): number =>
  waitMs?.(kind, way) ?? offer?.expectedWaitMs ?? 0;
