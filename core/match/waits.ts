/**
 * How long tasks wait in the batch system of a site before they start, by what has been seen there. What was seen
 * fades, and so does what a task that never starts says of a site that claims to have room: a site that has become
 * quick again is tried again, however slow it was.
 */
import type { Resources } from '../job/spec.ts';

/** Tasks that wait alike: those with GPUs, those of several nodes, all others. */
export type WaitKind = 'plain' | 'gang' | 'gpu';
export const WAIT_KINDS: readonly WaitKind[] = ['plain', 'gang', 'gpu'];

export function waitKindOf({ gpus, nodes }: Pick<Resources, 'gpus' | 'nodes'>): WaitKind {
  if (gpus > 0) return 'gpu';
  return nodes > 1 ? 'gang' : 'plain';
}

/** How a task comes to a site: what it needs is free, or it goes into the backlog. */
export type Way = 'start' | 'wait';
export const WAYS: readonly Way[] = ['start', 'wait'];

/** Tasks that were seen to start. */
export interface SeenWaits {
  /** How many count. */
  readonly starts: number;
  /** How long these have waited, together. */
  readonly waitedMs: number;
  /** When the last of them started. */
  readonly atMs: number;
}

export const NONE_SEEN: SeenWaits = { starts: 0, waitedMs: 0, atMs: 0 };

/** What is less than this is no wait. */
export const LEAST_WAIT_MS = 1_000;
/** No more starts than this count, so that a site which changes is soon seen to. */
const MOST_STARTS = 8;
/** What was seen counts half after this; after a wait of its own where that is longer. */
const LEAST_HALF_LIFE_MS = 600_000;
/** A task that does not start where there is room says so for this long; from then on it is taken for the one at fault. */
const STALL_MS = 1_800_000;

const left = (ms: number, halfLifeMs: number): number => 2 ** (-Math.max(0, ms) / halfLifeMs);

/** What is left of the weight of what was seen. */
function weightAt({ starts, waitedMs, atMs }: SeenWaits, nowMs: number): number {
  const meanMs = starts === 0 ? 0 : waitedMs / starts;
  return left(nowMs - atMs, Math.max(LEAST_HALF_LIFE_MS, meanMs));
}

/** After one more task has started, which had waited for `waitMs`. */
export function noteStart(seen: SeenWaits, waitMs: number, nowMs: number): SeenWaits {
  const most = seen.starts === 0 ? 0 : (MOST_STARTS - 1) / seen.starts;
  const kept = Math.min(most, weightAt(seen, nowMs));
  return {
    starts: seen.starts * kept + 1,
    waitedMs: seen.waitedMs * kept + Math.max(0, waitMs),
    atMs: nowMs,
  };
}

/** What is known of waits of one kind at a site. */
export interface WaitFacts {
  readonly way: Way;
  readonly seen: SeenWaits;
  /** How long tasks have waited there with none of them starting; 0 where none wait. */
  readonly stalledMs: number;
  /** What the site itself expects; it counts as much as one start. */
  readonly ownMs: number;
}

/** How long one more task is expected to wait. */
export function expectedWaitMs({ way, seen, stalledMs, ownMs }: WaitFacts, nowMs: number): number {
  const weight = weightAt(seen, nowMs);
  const believedMs = (ownMs + seen.waitedMs * weight) / (1 + seen.starts * weight);
  const isOld = way === 'start' && stalledMs > STALL_MS;
  const stallMs = isOld ? STALL_MS * left(stalledMs - STALL_MS, STALL_MS) : stalledMs;
  return Math.max(believedMs, stallMs);
}
