import { needOf } from '../match/need.ts';
import { claimantOf, nodeKey, nodesOf, type ShareNode } from '../share/shares.ts';
import type { History, ShareSetting, SimJob } from './world.ts';

/** What a VO or a user got, of all the cpu time that was used. */
export interface Part {
  /** `biomed`, or `biomed alice` for a user. */
  readonly name: string;
  /** From 0 to 1. */
  readonly target: number;
  readonly received: number;
  /** Of its tasks that ended, from submission to the start of the last attempt; 0 where none has. */
  readonly meanWaitMs: number;
  /** Cpu-milliseconds up to each of so many equal parts of the time. */
  readonly course: readonly { readonly target: number; readonly received: number }[];
}

/** Parts that the time is divided into for `course`. */
const COURSE_PARTS = 120;

/**
 * The target is what weights alone would give: at every instant the cpus in use are split among the VOs that want any
 * (run or wait) by weight, none getting more than it wants, then inside each VO in the same way among its groups, and
 * inside a group among its users. The error is the share of all cpu time that somebody else received.
 */
export interface Balance {
  readonly vos: readonly Part[];
  readonly users: readonly Part[];
  readonly voError: number;
  readonly userError: number;
}

interface Node {
  readonly name: string;
  readonly depth: number;
  readonly weight: number;
  readonly children: Map<string, Node>;
  /** Cpus that run, and that run or wait. */
  running: number;
  wanted: number;
  /** Cpu-milliseconds. */
  target: number;
  received: number;
  readonly course: { readonly target: number; readonly received: number }[];
  /** Tasks that ended, and what they waited together. */
  ended: number;
  waitedMs: number;
}

/** By key of a node; 1 where none is set. */
type Weights = ReadonlyMap<string, number>;

interface Step {
  readonly atMs: number;
  readonly path: readonly Node[];
  readonly running: number;
  readonly wanted: number;
}

export function balanceOf(
  history: History,
  jobs: readonly SimJob[],
  shares: readonly ShareSetting[],
): Balance {
  const weights: Weights = new Map(shares.map(({ node, weight }) => [nodeKey(node), weight]));
  const root = nodeOf('', 0, 1);
  const steps = stepsOf(history, jobs, (job) => pathOf(root, job, weights));
  const nodes = below(root);
  const partMs = history.endMs / COURSE_PARTS;
  let atMs = 0;
  let parts = 0;
  const advance = (toMs: number): void => {
    if (toMs > atMs) share(root, root.running, toMs - atMs);
    atMs = toMs;
  };
  for (const step of steps) {
    for (; parts < COURSE_PARTS && (parts + 1) * partMs <= step.atMs; parts += 1) {
      advance((parts + 1) * partMs);
      for (const { course, target, received } of nodes) course.push({ target, received });
    }
    advance(step.atMs);
    for (const node of step.path) {
      node.running += step.running;
      node.wanted += step.wanted;
    }
  }
  const vos = partsAt(nodes, 1);
  const users = partsAt(nodes, 3);
  return { vos, users, voError: errorOf(vos), userError: errorOf(users) };
}

const nodeOf = (name: string, depth: number, weight: number): Node => ({
  name,
  depth,
  weight,
  children: new Map(),
  running: 0,
  wanted: 0,
  target: 0,
  received: 0,
  course: [],
  ended: 0,
  waitedMs: 0,
});

const below = (node: Node): readonly Node[] =>
  [...node.children.values()].flatMap((child) => [child, ...below(child)]);

/** The nodes that a job counts in, the root first. */
function pathOf(root: Node, { ask }: SimJob, weights: Weights): readonly Node[] {
  const path = [root];
  for (const node of nodesOf(claimantOf(ask)))
    path.push(childOf(path.at(-1) ?? root, node, weights));
  return path;
}

function childOf(parent: Node, node: ShareNode, weights: Weights): Node {
  const key = nodeKey(node);
  const known = parent.children.get(key);
  if (known !== undefined) return known;
  const [vo, group, owner] = node;
  const name = owner === undefined ? (group ?? vo) : `${vo} ${owner.replace(/^\/CN=/, '')}`;
  const made = nodeOf(name, parent.depth + 1, weights.get(key) ?? 1);
  parent.children.set(key, made);
  return made;
}

/** Every change of what runs and what is wanted, by time. */
function stepsOf(
  { attempts, endMs }: History,
  jobs: readonly SimJob[],
  pathFor: (job: SimJob) => readonly Node[],
): readonly Step[] {
  const steps: Step[] = [];
  const paths = new Map(jobs.map((job) => [job, pathFor(job)]));
  for (const job of jobs) {
    const wanted = needOf(job.ask.resources).cpus * job.runtimesMs.length;
    steps.push({ atMs: job.submitAtMs, path: paths.get(job) ?? [], running: 0, wanted });
  }
  for (const { job, startMs, endMs: at, last } of attempts) {
    const { cpus } = needOf(job.ask.resources);
    const path = paths.get(job) ?? [];
    steps.push({ atMs: startMs, path, running: cpus, wanted: 0 });
    steps.push({ atMs: at, path, running: -cpus, wanted: last ? -cpus : 0 });
    for (const node of last ? path : []) {
      node.ended += 1;
      node.waitedMs += startMs - job.submitAtMs;
    }
  }
  return steps.filter(({ atMs }) => atMs <= endMs).toSorted((a, b) => a.atMs - b.atMs);
}

/** Gives `cpus` for `ms` to the children of a node, and what each gets to its own. */
function share(node: Node, cpus: number, ms: number): void {
  const hungry = [...node.children.values()].filter(({ wanted }) => wanted > 0);
  const portions = split(cpus, hungry);
  for (const [index, child] of hungry.entries()) {
    const portion = portions[index] ?? 0;
    child.target += portion * ms;
    child.received += child.running * ms;
    if (child.children.size > 0) share(child, portion, ms);
  }
}

/** By weight, none more than it wants; what one leaves goes to the others. */
function split(cpus: number, nodes: readonly Node[]): readonly number[] {
  const portions = nodes.map(() => 0);
  let left = cpus;
  let open = nodes.map((node, index) => ({ node, index }));
  while (open.length > 0 && left > 0) {
    const weights = open.reduce((total, { node }) => total + node.weight, 0);
    const perWeight = left / weights;
    const sated = open.filter(({ node }) => node.wanted <= perWeight * node.weight);
    if (sated.length === 0) {
      for (const { node, index } of open) portions[index] = perWeight * node.weight;
      return portions;
    }
    for (const { node, index } of sated) {
      portions[index] = node.wanted;
      left -= node.wanted;
    }
    open = open.filter((entry) => !sated.includes(entry));
  }
  return portions;
}

function partsAt(nodes: readonly Node[], depth: number): readonly Part[] {
  const here = nodes.filter((node) => node.depth === depth);
  const total = here.reduce((all, { received }) => all + received, 0) || 1;
  return here
    .map(({ name, target, received, course, ended, waitedMs }) => ({
      name,
      meanWaitMs: waitedMs / Math.max(1, ended),
      target: target / total,
      received: received / total,
      course,
    }))
    .toSorted((a, b) => (a.name < b.name ? -1 : 1));
}

const errorOf = (parts: readonly Part[]): number =>
  parts.reduce((total, { target, received }) => total + Math.abs(target - received), 0) / 2;
