import type { Ask } from '../match/ask.ts';
import type { Need } from '../match/need.ts';
import { DEFAULT_WEIGHTS, type ShareWeights, weighedCpus } from './charge.ts';
import type { Quota } from './quota.ts';
import { claimantOf, nodeKey, type ShareNode, type Shares } from './shares.ts';
import { accrued, addUsage, NO_USAGE, type Usage, usageAt } from './usage.ts';

/** How usage is counted. */
export interface ShareSettings {
  readonly halfLifeMs: number;
  readonly weights: ShareWeights;
}

const DEFAULT_SHARE_SETTINGS: ShareSettings = {
  halfLifeMs: 7 * 86_400_000,
  weights: DEFAULT_WEIGHTS,
};

/** A node of the tree of shares: what it may have, has had and has. Each number holds those of the nodes below it. */
export interface ShareRecord {
  readonly node: ShareNode;
  readonly parent: ShareRecord | undefined;
  weight: number;
  quota: Quota;
  /** By tasks that have ended at their sites. */
  ended: Usage;
  /** By tasks that run. */
  running: Usage;
  runningTasks: number;
  /** Cpus, plain and weighed, of the tasks that sites have: they run, or are about to. */
  placedCpus: number;
  placedWeighed: number;
  queuedTasks: number;
}

/** A task at a site; `startedAtMs` is when its program started, undefined while it has not. */
interface Placed {
  readonly need: Need;
  readonly startedAtMs: number | undefined;
}

/** Everybody's shares. */
export interface ShareTree {
  readonly settings: ShareSettings;
  readonly records: Iterable<ShareRecord>;
  find(node: ShareNode): ShareRecord | undefined;
  /** Makes the node where there is none yet. */
  record(node: ShareNode): ShareRecord;
  /** The owner's node that is charged for an ask. */
  leafOf(ask: Ask): ShareRecord;
  /** A site has got a task. */
  place(leaf: ShareRecord, need: Need): void;
  /** The program of a task that was placed has started. */
  start(leaf: ShareRecord, need: Need, startedAtMs: number, nowMs: number): void;
  /** A site has had a task until `endedAtMs`. */
  end(leaf: ShareRecord, task: Placed & { readonly endedAtMs: number }, nowMs: number): void;
  /** Adds usage of tasks that had ended by `atMs`. */
  addEnded(leaf: ShareRecord, amount: number, atMs: number, nowMs: number): void;
  /** Usage as of now, with a minute for each task that a site has, whatever it has come to so far. */
  usageOf(record: ShareRecord, nowMs: number): number;
  /** As a round sees it. */
  sharesAt(nowMs: number): Shares;
}

/** A task counts this long as soon as it is placed: what is charged at once keeps one claimant from taking all that is free. */
const PLACED_SECONDS = 60;

export function openShareTree(settings: ShareSettings = DEFAULT_SHARE_SETTINGS): ShareTree {
  const { halfLifeMs, weights } = settings;
  const nodes = openNodes();
  const changeRunning = (
    leaf: ShareRecord,
    sign: 1 | -1,
    rate: number,
    startedAtMs: number,
    nowMs: number,
  ): void => {
    const change = {
      amount: sign * accrued(rate, nowMs - startedAtMs, halfLifeMs),
      rate: sign * rate,
    };
    for (const node of upwards(leaf)) {
      node.runningTasks += sign;
      // With nothing left to run, what rounding has left over goes too.
      node.running =
        node.runningTasks === 0 ? NO_USAGE : addUsage(node.running, change, nowMs, halfLifeMs);
    }
  };
  const addEnded: ShareTree['addEnded'] = (leaf, amount, atMs, nowMs) => {
    const now = usageAt({ amount, rate: 0, atMs }, nowMs, halfLifeMs);
    for (const node of upwards(leaf))
      node.ended = addUsage(node.ended, { amount: now }, nowMs, halfLifeMs);
  };
  const usageOf: ShareTree['usageOf'] = ({ ended, running, placedWeighed }, nowMs) =>
    usageAt(ended, nowMs, halfLifeMs) +
    usageAt(running, nowMs, halfLifeMs) +
    placedWeighed * PLACED_SECONDS;
  return {
    ...nodes,
    settings,
    place: (leaf, need) => changePlaced(leaf, need, 1, weights),
    start: (leaf, need, startedAtMs, nowMs) =>
      changeRunning(leaf, 1, weighedCpus(need, weights), startedAtMs, nowMs),
    end: (leaf, { need, startedAtMs, endedAtMs }, nowMs) => {
      changePlaced(leaf, need, -1, weights);
      if (startedAtMs === undefined) return;
      const rate = weighedCpus(need, weights);
      changeRunning(leaf, -1, rate, startedAtMs, nowMs);
      addEnded(leaf, accrued(rate, endedAtMs - startedAtMs, halfLifeMs), endedAtMs, nowMs);
    },
    addEnded,
    usageOf,
    sharesAt: (nowMs) => sharesOf(nodes.find, (found) => usageOf(found, nowMs), weights),
  };
}

function openNodes() {
  const records = new Map<string, ShareRecord>();
  const record = (node: ShareNode): ShareRecord => {
    const key = nodeKey(node);
    const known = records.get(key);
    if (known !== undefined) return known;
    const [vo, group, owner] = node;
    const parent =
      group === undefined ? undefined : record(owner === undefined ? [vo] : [vo, group]);
    const made = newRecord(node, parent);
    records.set(key, made);
    return made;
  };
  const leafOf = (ask: Ask): ShareRecord => {
    const { vo, group, owner } = claimantOf(ask);
    return record([vo, group, owner]);
  };
  return {
    records: { [Symbol.iterator]: () => records.values() },
    find: (node: ShareNode): ShareRecord | undefined => records.get(nodeKey(node)),
    record,
    leafOf,
  };
}

const newRecord = (node: ShareNode, parent: ShareRecord | undefined): ShareRecord => ({
  node,
  parent,
  weight: 1,
  quota: {},
  ended: NO_USAGE,
  running: NO_USAGE,
  runningTasks: 0,
  placedCpus: 0,
  placedWeighed: 0,
  queuedTasks: 0,
});

/** A node and those above it. */
export function* upwards(leaf: ShareRecord): Generator<ShareRecord> {
  for (let node: ShareRecord | undefined = leaf; node !== undefined; node = node.parent) yield node;
}

function changePlaced(leaf: ShareRecord, need: Need, sign: 1 | -1, weights: ShareWeights): void {
  for (const node of upwards(leaf)) {
    node.placedCpus += sign * need.cpus;
    node.placedWeighed =
      node.placedCpus === 0 ? 0 : node.placedWeighed + sign * weighedCpus(need, weights);
  }
}

/** Counts tasks that begin to wait (or, below zero, that wait no more). */
export function addQueued(leaf: ShareRecord, tasks: number): void {
  for (const node of upwards(leaf)) node.queuedTasks += tasks;
}

function sharesOf(
  find: (node: ShareNode) => ShareRecord | undefined,
  usageOf: (record: ShareRecord) => number,
  weights: ShareWeights,
): Shares {
  return {
    weight: (node) => find(node)?.weight ?? 1,
    usage: (node) => {
      const found = find(node);
      return found === undefined ? 0 : usageOf(found);
    },
    runningCpus: (node) => find(node)?.placedCpus ?? 0,
    maxRunningCpus: (node) => find(node)?.quota.runningCpus,
    charge: (need) => weighedCpus(need, weights) * PLACED_SECONDS,
  };
}
