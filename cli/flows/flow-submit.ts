import { randomUUID } from 'node:crypto';
import { dirname, resolve } from 'node:path';
import { EMPTY_TREE, type TreeRef } from '../../core/data/manifest.ts';
import { GridError } from '../../core/errors.ts';
import { voName } from '../../core/ids.ts';
import { nodesToRun } from '../../core/job/flow.ts';
import { type JobSpec, taskCount } from '../../core/job/spec.ts';
import { isFinal } from '../../core/job/state.ts';
import { counted, formatBytes, formatDuration } from '../../core/units.ts';
import type { BrokerService, NewFlow } from '../../proto/gen/grid/v1/broker.ts';
import { readFlow as readFlowText } from '../../service/documents/flow-file.ts';
import type { RpcClient } from '../../service/rpc/rpc.ts';
import { specFromWire, specToWire, treeFromWire, treeToWire } from '../../service/rpc/wire.ts';
import type { Context } from '../context.ts';
import { chooseVo, openUserStaging } from '../data/staging.ts';
import { argument, type Input } from '../input.ts';
import { readJobFile } from '../jobs/read-jobs.ts';
import { s3For } from '../jobs/s3-credentials.ts';
import { pathsOf, sendOne, submitSent } from '../jobs/submit.ts';
import { writeSpec } from '../jobs/write-spec.ts';
import { table } from '../render.ts';
import { afterText, edgesOf, type NodeView, readFlow } from './flow-view.ts';

/** A job of a flow on its way: with files that are here, or with a tree that is on the grid already. */
interface PlannedNode {
  readonly node: string;
  readonly spec: JobSpec;
  readonly inputs: { readonly base: string } | { readonly tree: TreeRef };
}

/** `grid flow submit`. */
export async function submitFlow(context: Context, input: Input): Promise<number> {
  const { name, nodes } = await readFlowFile(context, input, argument(input, 0));
  if (input.on('dry-run')) return showPlan(context, nodes, []);
  using broker = await context.openBroker();
  return await submitNodes(context, broker.call, nodes, { name, id: '' }, input);
}

/** `grid flow resume`. */
export async function resumeFlow(context: Context, input: Input): Promise<number> {
  const id = argument(input, 0);
  const [, file] = input.args;
  const fromFile = file === undefined ? undefined : await readFlowFile(context, input, file);
  using broker = await context.openBroker();
  const known = await readFlow(context, broker.call, id, file === undefined);
  const open = known.nodes.find(({ job }) => !isFinal(job.state));
  if (open !== undefined)
    throw new GridError(
      'JOB_EVENT_REFUSED',
      `flow ${id} has not ended: '${open.node}' is ${open.job.state} (\`grid flow wait\`, or \`grid flow cancel\`)`,
    );
  const nodes = fromFile?.nodes ?? known.nodes.map(asItWas);
  const edges = edgesOf(nodes.map(({ node, spec }) => ({ node, after: spec.after })));
  const states = new Map(known.nodes.map(({ node, job }) => [node, job]));
  const again = nodesToRun(edges, states);
  const wanted = nodes.filter(({ node }) => again.has(node));
  const kept = known.nodes.map(({ node }) => node).filter((node) => !again.has(node));
  if (input.on('dry-run')) return showPlan(context, wanted, kept);
  if (wanted.length > 0)
    return await submitNodes(context, broker.call, wanted, { name: '', id }, input, kept);
  context.terminal.note(`nothing is left to run of flow ${id}`);
  if (context.json) context.terminal.out(JSON.stringify({ id, jobs: {}, kept }));
  return 0;
}

async function readFlowFile(
  context: Context,
  input: Input,
  file: string,
): Promise<{ readonly name: string; readonly nodes: readonly PlannedNode[] }> {
  const path = file === '-' ? undefined : resolve(context.cwd, file);
  const text =
    path === undefined ? await context.terminal.readStdin() : await readJobFile(path, file);
  const base = path === undefined ? context.cwd : dirname(path);
  const vo = (await context.settings()).vo;
  const wanted = input.text('vo');
  const flow = await readFlowText(
    { name: file === '-' ? 'stdin' : file, text, base },
    vo === undefined ? {} : { vo },
  );
  return {
    name: flow.name,
    nodes: flow.nodes.map(({ node, spec }) => ({
      node,
      spec: wanted === undefined ? spec : { ...spec, vo: voName(wanted) },
      inputs: { base },
    })),
  };
}

/** A node of a flow that the grid knows, to be submitted as it was. */
function asItWas({ node, definition }: NodeView): PlannedNode {
  const tree = treeFromWire(definition?.inputs);
  return { node, spec: specFromWire(definition?.spec), inputs: { tree } };
}

function showPlan(
  context: Context,
  nodes: readonly PlannedNode[],
  kept: readonly string[],
): number {
  const { terminal, colours } = context;
  if (context.json) {
    const plan = nodes.map(({ node, spec }) => ({ node, ...writeSpec(spec) }));
    terminal.out(JSON.stringify({ jobs: plan, kept }));
    return 0;
  }
  const rows = nodes.map(({ node, spec }) => [
    node,
    afterText(spec.after),
    String(taskCount(spec)),
    `${spec.resources.cpus} x ${formatBytes(spec.resources.memoryBytes)}`,
    formatDuration(spec.resources.walltimeMs),
  ]);
  const headings = ['job', 'after', 'tasks', 'cpus x memory', 'walltime'];
  if (rows.length > 0) terminal.out(table(headings, rows, colours, terminal.columns));
  if (kept.length > 0) terminal.out(`kept as they are: ${kept.join(', ')}`);
  return 0;
}

async function submitNodes(
  context: Context,
  broker: RpcClient<BrokerService>,
  planned: readonly PlannedNode[],
  flow: NewFlow,
  input: Input,
  kept: readonly string[] = [],
): Promise<number> {
  const { terminal } = context;
  const vo = planned.some(({ spec }) => spec.vo === '') ? await chooseVo(context, broker) : '';
  const nodes = planned.map((node) =>
    node.spec.vo === '' ? { ...node, spec: { ...node.spec, vo: voName(vo) } } : node,
  );
  const s3 = s3For(
    nodes.map(({ spec }) => spec),
    context.env,
  );
  const sent = await sendFiles(context, broker, nodes);
  const request = {
    submitKey: input.text('submit-key') ?? randomUUID(),
    flow,
    s3,
    jobs: nodes.map(({ node, spec, inputs }) => ({
      node,
      spec: specToWire(spec),
      inputs: treeToWire('tree' in inputs ? inputs.tree : treeOf(spec, sent)),
    })),
  };
  const { jobIds, flowId } = await submitSent(context, broker, request, () =>
    sendFiles(context, broker, nodes),
  );
  if (context.json) {
    const jobs = Object.fromEntries(nodes.map(({ node }, index) => [node, jobIds[index] ?? '']));
    terminal.out(JSON.stringify({ id: flowId, jobs, kept }));
    return 0;
  }
  terminal.out(flowId);
  terminal.note(
    `${counted(nodes.length, 'job')} submitted${keptText(kept)}: grid flow status ${flowId}`,
  );
  return 0;
}

const keptText = (kept: readonly string[]): string =>
  kept.length === 0 ? '' : `, ${kept.length} kept as they are`;

const treeOf = (spec: JobSpec, sent: TreeRef): TreeRef =>
  pathsOf(spec).length === 0 ? EMPTY_TREE : sent;

/** The files of all nodes as one tree: a site takes from it what its node wants, and sends for shared files once. */
async function sendFiles(
  context: Context,
  broker: RpcClient<BrokerService>,
  nodes: readonly PlannedNode[],
): Promise<TreeRef> {
  const here = nodes.flatMap(({ spec, inputs }) =>
    'base' in inputs ? pathsOf(spec).map((path) => ({ path, base: inputs.base })) : [],
  );
  const [first] = here;
  const vo = nodes[0]?.spec.vo ?? '';
  if (first === undefined) return EMPTY_TREE;
  await using store = await openUserStaging(context, broker, vo);
  return await sendOne(context, store, first.base, [...new Set(here.map(({ path }) => path))]);
}
