import type { JobId } from '../ids.ts';
import { MAX_RETRY_DELAY_MS } from '../retry/retry.ts';
import type { Cap } from '../share/fair-order.ts';
import type { Claimant } from '../share/shares.ts';
import type { Standing } from './memory.ts';
import { needOf } from './need.ts';
import type { Pool } from './pool.ts';
import type { Demand } from './room.ts';
import type { AskQueue, QueueItem, Snapshot } from './snapshot.ts';
import { type WaitKind, waitKindOf } from './waits.ts';

/** The queue of an ask class while a round empties it. */
export interface Lane extends Demand {
  readonly queue: AskQueue;
  readonly claimant: Claimant;
  readonly standing: Standing;
  readonly kind: WaitKind;
  readonly items: Iterator<QueueItem>;
  /** Undefined when nothing is left that this round could place. */
  head: QueueItem | undefined;
  /** Tasks of `head` that this round has placed. */
  taken: number;
  /** Sites to choose from, by what a task of the class looks for. */
  readonly pools: Map<string, Pool>;
  /** Whether the class orders sites in a way of its own. */
  isParticular: boolean;
  /** The first task that found no room. */
  starved?: { readonly job: JobId; readonly ordinal: number };
  /** The cap that has closed the lane. */
  cap?: Cap;
}

export function openLane(
  queue: AskQueue,
  claimant: Claimant,
  standing: Standing,
  { nowMs }: Snapshot,
): Lane {
  const { key, ask } = queue;
  const lane: Lane = {
    key,
    need: needOf(ask.resources),
    kind: waitKindOf(ask.resources),
    nowMs,
    endsByMs: nowMs + ask.resources.walltimeMs,
    queue,
    claimant,
    standing,
    items: queue.items[Symbol.iterator](),
    head: undefined,
    taken: 0,
    pools: new Map(),
    isParticular: false,
  };
  advance(lane);
  return lane;
}

/** Goes on to the next item that may be placed now. */
export function advance(lane: Lane): void {
  lane.taken = 0;
  for (let step = lane.items.next(); step.done !== true; step = lane.items.next()) {
    lane.head = step.value;
    if (isDue(step.value, lane.nowMs)) return;
  }
  lane.head = undefined;
}

/** No pause is longer than the longest: where it seems so the clock has gone back. */
const isDue = ({ notBeforeMs }: QueueItem, nowMs: number): boolean =>
  notBeforeMs <= nowMs || notBeforeMs > nowMs + MAX_RETRY_DELAY_MS;

/** The oldest job of an owner goes first. */
export function isOlder(a: Lane, b: Lane): boolean {
  const difference = (a.head?.seq ?? 0) - (b.head?.seq ?? 0);
  return difference === 0 ? a.key < b.key : difference < 0;
}
