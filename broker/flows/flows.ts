import { GridError } from '../../core/errors.ts';
import type { JobId } from '../../core/ids.ts';
import { countNodes, isFlowId, renameRefs } from '../../core/job/flow.ts';
import type { Dependency } from '../../core/job/spec.ts';
import { isFinal, type JobState } from '../../core/job/state.ts';
import { jobStateOf, taskCountsOf } from '../../core/job/summary.ts';
import type { Peer } from '../../core/vo/caller.ts';
import { type Access, mayList, mayRead } from '../../core/vo/policy.ts';
import type { FlowNode, FlowSummary } from '../../proto/gen/grid/v1/broker.ts';
import { dependencyToWire, specToWire, stateToWire, treeToWire } from '../../service/rpc/wire.ts';
import type { Book } from '../book.ts';
import { readTrees, storedJob } from '../jobs/job-store.ts';
import { isListed, type ListWish, SUMMARY, summaryToWire } from '../jobs/listing.ts';
import { parseAfter } from '../jobs/records.ts';
import type { FlowRow } from '../ledger/ledger.ts';

/** Where a node stands: the last job of its name. */
export interface NodeRow {
  readonly node: string;
  readonly id: JobId;
  readonly state: JobState;
  readonly reason: string;
  readonly endedAtMs: number;
}

export const readFlowRow = (book: Book, id: string): Promise<FlowRow | undefined> =>
  book.db.selectFrom('flows').selectAll().where('id', '=', id).executeTakeFirst();

/** The nodes of a flow as they stand in the ledger, each once, in the order of their first submission. */
export async function readNodeStates(book: Book, flow: string): Promise<readonly NodeRow[]> {
  await book.recorder.settled();
  return nodesOf(book, flow);
}

async function nodesOf({ db }: Book, flow: string): Promise<readonly NodeRow[]> {
  const rows = await db
    .selectFrom('jobs')
    .innerJoin('job_state', 'job_state.job_id', 'jobs.id')
    .select(['jobs.id', 'flow_node', 'state', 'reason', 'ended_ms'])
    .where('flow_id', '=', flow)
    .orderBy('seq')
    .execute();
  const last = new Map<string, NodeRow>();
  for (const { id, flow_node, state, reason, ended_ms } of rows) {
    const endedAtMs = ended_ms ?? 0;
    last.set(flow_node, { node: flow_node, id: id as JobId, state, reason, endedAtMs });
  }
  return [...last.values()];
}

/** Flows, newest first, and where the next page begins ('' for no more). */
export async function listFlows(
  book: Book,
  wish: Pick<ListWish, 'of' | 'limit' | 'before'>,
): Promise<{ readonly flows: readonly FlowSummary[]; readonly next: string }> {
  await book.recorder.settled();
  const { of, before } = wish;
  let query = book.db.selectFrom('flows').selectAll();
  if (of !== undefined) {
    query = query.where((where) =>
      where.or([where('owner', '=', of.owner), ...of.vos.map((vo) => where('vo', '=', vo))]),
    );
  }
  if (before !== '') {
    const last = await readFlowRow(book, before);
    if (last === undefined || !isListed(of, last))
      throw new GridError('REQUEST_INVALID', `page token '${before.slice(0, 40)}' is no flow id`);
    query = query.where('seq', '<', last.seq);
  }
  const rows = await query
    .orderBy('seq', 'desc')
    .limit(wish.limit + 1)
    .execute();
  const page = rows.slice(0, wish.limit);
  const flows: FlowSummary[] = [];
  for (const row of page) {
    const nodes = await nodesOf(book, row.id);
    // One of no nodes was just removed for its age.
    if (nodes.length > 0) flows.push(flowToWire(row, nodes));
    await new Promise(setImmediate);
  }
  return { flows, next: rows.length > page.length ? (page.at(-1)?.id ?? '') : '' };
}

/** A flow that the caller may see all of. */
export async function readableFlow(
  book: Book,
  peer: Peer,
  id: string,
  access: Access,
): Promise<FlowRow> {
  await book.recorder.settled();
  const row = isFlowId(id) ? await readFlowRow(book, id) : undefined;
  const owned = row as Parameters<typeof mayList>[1] | undefined;
  if (row === undefined || owned === undefined || !mayList(peer, owned, access))
    throw new GridError('FLOW_NOT_FOUND', `there is no flow '${id.slice(0, 40)}'`);
  if (!mayRead(peer, owned, access))
    throw new GridError('PERMISSION_DENIED', `flow ${id} belongs to ${row.owner}`);
  return row;
}

/** A flow with its nodes; their definitions name one another by node. */
export async function getFlow(book: Book, row: FlowRow, withDefinitions: boolean) {
  const states = await readNodeStates(book, row.id);
  const jobs = await book.db
    .selectFrom('jobs')
    .innerJoin('job_state', 'job_state.job_id', 'jobs.id')
    .select([...SUMMARY, 'flow_node', 'after'])
    .where('flow_id', '=', row.id)
    .execute();
  const nodeOf = new Map(jobs.map(({ id, flow_node }) => [id, flow_node]));
  const byId = new Map(jobs.map((job) => [job.id, job]));
  const byNode = Map.groupBy(jobs, ({ flow_node }) => flow_node);
  const definitions = withDefinitions ? await readDefinitions(book, states, nodeOf) : new Map();
  const nodes = states.flatMap(({ id, node }): FlowNode[] => {
    const job = byId.get(id);
    if (job === undefined) return [];
    const after = parseAfter(JSON.parse(job.after) as string[]);
    return [
      {
        name: node,
        job: summaryToWire(job),
        jobs: byNode.get(node)?.length ?? 0,
        after: after.map((dependency) => dependencyToWire(named(dependency, nodeOf))),
        definition: definitions.get(id),
      },
    ];
  });
  return { flow: flowToWire(row, states), nodes };
}

const named = ({ job, when }: Dependency, names: ReadonlyMap<string, string>): Dependency => ({
  job: (names.get(job) ?? job) as JobId,
  when,
});

async function readDefinitions(
  book: Book,
  nodes: readonly NodeRow[],
  nodeOf: ReadonlyMap<string, string>,
): Promise<ReadonlyMap<JobId, FlowNode['definition']>> {
  const ids = nodes.map(({ id }) => id);
  const rows = await book.db.selectFrom('jobs').selectAll().where('id', 'in', ids).execute();
  const trees = await readTrees(
    book.db,
    rows.map(({ inputs }) => inputs),
  );
  return new Map(
    rows.map((row) => {
      const none = { digest: '', totalBytes: 0, files: 0 };
      const { spec, inputs } = storedJob(row, trees.get(row.inputs) ?? none);
      const definition = {
        spec: specToWire(renameRefs(spec, nodeOf)),
        inputs: treeToWire(inputs),
        node: row.flow_node,
      };
      return [row.id as JobId, definition];
    }),
  );
}

function flowToWire(row: FlowRow, nodes: readonly NodeRow[]): FlowSummary {
  const counts = countNodes(nodes);
  const state = jobStateOf(counts);
  return {
    id: row.id,
    name: row.name,
    owner: { dn: row.owner, vo: row.vo, fqans: [] },
    state: stateToWire(state),
    submittedAtMs: row.submitted_ms,
    endedAtMs: isFinal(state) ? Math.max(...nodes.map(({ endedAtMs }) => endedAtMs)) : 0,
    nodes: nodes.length,
    counts: taskCountsOf(counts),
  };
}
