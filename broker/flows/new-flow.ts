import { GridError, type Problem } from '../../core/errors.ts';
import type { JobId } from '../../core/ids.ts';
import { flowIdOf, isFlowId, isNodeName, MAX_NODES, renameRefs } from '../../core/job/flow.ts';
import { type CheckRef, isKnownJob } from '../../core/job/parse-after.ts';
import { type JobSpec, jobInputs, taskCount } from '../../core/job/spec.ts';
import { isFinal } from '../../core/job/state.ts';
import type { Peer } from '../../core/vo/caller.ts';
import type { Book } from '../book.ts';
import { MAX_RESULTS } from '../jobs/dependencies.ts';
import type { JobRecord } from '../jobs/records.ts';
import type { FlowRow } from '../ledger/ledger.ts';
import { readFlowRow, readNodeStates } from './flows.ts';

/** The flow that jobs are to be nodes of. */
export interface WantedFlow {
  /** The flow that goes on; '' for a new one. */
  readonly id: string;
  readonly name: string;
}

/** A job with its name in a flow; '' outside one. */
interface Node {
  readonly spec: JobSpec;
  readonly node: string;
}

/** Nodes that a flow has already, by name, with their last jobs. */
export type KnownNodes = ReadonlyMap<string, JobId>;

/** The nodes of the flow that goes on, which must be the caller's and have ended. */
export async function knownNodes(book: Book, flow: WantedFlow, peer: Peer): Promise<KnownNodes> {
  if (flow.id === '') return new Map();
  await book.recorder.settled();
  const row = isFlowId(flow.id) ? await readFlowRow(book, flow.id) : undefined;
  if (row === undefined || row.owner !== peer.dn)
    throw new GridError('FLOW_NOT_FOUND', `you have no flow '${flow.id.slice(0, 40)}'`);
  const nodes = await readNodeStates(book, flow.id);
  const open = nodes.find(({ state }) => !isFinal(state));
  if (open !== undefined) {
    const message = `flow ${flow.id} has not ended: node '${open.node}' is ${open.state}`;
    throw new GridError('JOB_EVENT_REFUSED', message);
  }
  return new Map(nodes.map(({ node, id }) => [node, id]));
}

/** Everything that is wrong with jobs as nodes of one flow. A node comes behind all those of the request that it names. */
export function flowProblems(jobs: readonly Node[], known: KnownNodes): readonly Problem[] {
  const problems: Problem[] = [];
  const names = new Set(known.keys());
  const vo = jobs[0]?.spec.vo;
  for (const [index, { spec, node }] of jobs.entries()) {
    const where = `jobs[${index}]`;
    if (!isNodeName(node))
      problems.push({ where, message: `'${node.slice(0, 80)}' is no name for a node` });
    if (spec.vo !== vo)
      problems.push({ where, message: `it runs under ${spec.vo}, others of the flow under ${vo}` });
    names.add(node);
  }
  if (names.size < known.size + jobs.length && hasTwins(jobs))
    problems.push({ where: 'jobs', message: 'two nodes have one name' });
  if (names.size > MAX_NODES)
    problems.push({ where: 'jobs', message: `${names.size} nodes, at most ${MAX_NODES}` });
  return [...problems, ...tooManyResults(jobs)];
}

const hasTwins = (jobs: readonly Node[]): boolean =>
  new Set(jobs.map(({ node }) => node)).size < jobs.length;

function tooManyResults(jobs: readonly Node[]): readonly Problem[] {
  const tasks = new Map(jobs.map(({ spec, node }) => [node, taskCount(spec)]));
  return jobs.flatMap(({ spec }, index) =>
    jobInputs(spec)
      .filter(({ job }) => (tasks.get(job) ?? 0) > MAX_RESULTS)
      .map(({ job }) => ({
        where: `jobs[${index}].inputs`,
        message: `'${job}' has ${tasks.get(job)} tasks: at most ${MAX_RESULTS} can be inputs`,
      })),
  );
}

/** Judges the names of jobs in a request: a node may name those before it and those that the flow has already. */
export function refsOf(jobs: readonly Node[], known: KnownNodes): (index: number) => CheckRef {
  const places = new Map(jobs.map(({ node }, index) => [node, index]));
  return (index) => (name) => {
    const place = places.get(name);
    if (place === undefined) return known.has(name) ? undefined : isKnownJob(name);
    return place < index ? undefined : `node '${name}' does not come before it`;
  };
}

/** Puts ids in the place of nodes that the flow has already and that do not run again; the others get theirs later. */
export function withKnownIds<N extends Node>(jobs: readonly N[], known: KnownNodes): readonly N[] {
  const ids = new Map(known);
  for (const { node } of jobs) ids.delete(node);
  return ids.size === 0 ? jobs : jobs.map((job) => ({ ...job, spec: renameRefs(job.spec, ids) }));
}

/** The row of a new flow. */
export const flowRow = (first: JobRecord, name: string): FlowRow => ({
  id: flowIdOf(first.id),
  seq: first.seq,
  owner: first.owner,
  vo: first.vo,
  name,
  submitted_ms: first.submittedAtMs,
});
