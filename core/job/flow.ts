import { type JobId, jobId } from '../ids.ts';
import { isJobId } from './job-id.ts';
import type { JobSpec } from './spec.ts';
import { isFinal, type JobState } from './state.ts';
import type { StateCounts } from './summary.ts';

/** The most nodes that a flow may have. */
export const MAX_NODES = 1_000;

const NODE = /^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/;

/** Whether a job of a flow may be called so: names and job ids stand in the same places. */
export const isNodeName = (text: string): boolean => NODE.test(text) && !isJobId(text);

/** The id of a flow is that of its first job with another letter. */
export const flowIdOf = (first: JobId): string => `f${first.slice(1)}`;
export const isFlowId = (text: string): boolean =>
  text.startsWith('f') && isJobId(`j${text.slice(1)}`);

/** Nodes with the names of those they come after, in the order in which they were written. */
export type FlowEdges = ReadonlyMap<string, readonly string[]>;

/**
 * The nodes, each behind all those it comes after and otherwise as they were written; and the cycles that were met, each
 * from a node back to itself. Names that are no nodes are passed over.
 */
export function orderNodes(edges: FlowEdges): {
  readonly order: readonly string[];
  readonly cycles: readonly (readonly string[])[];
} {
  const order = new Set<string>();
  const path = new Set<string>();
  const cycles: string[][] = [];
  const visit = (node: string): void => {
    if (order.has(node)) return;
    if (path.has(node)) {
      const nodes = [...path];
      cycles.push([...nodes.slice(nodes.indexOf(node)), node].toReversed());
      return;
    }
    path.add(node);
    for (const before of edges.get(node) ?? []) if (edges.has(before)) visit(before);
    path.delete(node);
    order.add(node);
  };
  for (const node of edges.keys()) visit(node);
  return { order: [...order], cycles };
}

/** Calls other jobs by other names, as far as `names` has them: names of nodes become ids, or ids names. */
export function renameRefs(spec: JobSpec, names: ReadonlyMap<string, string>): JobSpec {
  const other = (name: string): JobId => jobId(names.get(name) ?? name);
  return {
    ...spec,
    after: spec.after.map(({ job, when }) => ({ job: other(job), when })),
    inputs: spec.inputs.map(({ from, to }) => ({
      from: from.startsWith('job:') ? `job:${other(from.slice('job:'.length))}` : from,
      to,
    })),
  };
}

/** What of a node's job says how the flow stands. */
export interface NodeState {
  readonly state: JobState;
  readonly reason: string;
}

/** Whether a node has come to a good end: it is done, or it was there for a case that did not arise. */
const isWell = ({ state, reason }: NodeState): boolean =>
  state === 'done' || (state === 'cancelled' && reason === 'NOT_NEEDED');

/** Nodes by state; what has come to a good end is done. A flow's state follows from this like a job's from its tasks. */
export function countNodes(nodes: Iterable<NodeState>): StateCounts {
  const counts: Partial<Record<JobState, number>> = {};
  for (const node of nodes) {
    const state = isWell(node) ? 'done' : node.state;
    counts[state] = (counts[state] ?? 0) + 1;
  }
  return counts;
}

/**
 * The nodes of a flow that has ended that must run again: all that did not come to a good end, those that have not been
 * there yet, and whatever comes after one of these.
 */
export function nodesToRun(
  edges: FlowEdges,
  states: ReadonlyMap<string, NodeState>,
): ReadonlySet<string> {
  const again = new Set<string>();
  for (const node of orderNodes(edges).order) {
    const known = states.get(node);
    const isStale = (edges.get(node) ?? []).some((before) => again.has(before));
    if (known === undefined || !isFinal(known.state) || !isWell(known) || isStale) again.add(node);
  }
  return again;
}
