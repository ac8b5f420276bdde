import { isFinal } from '../../core/job/state.ts';
import { counted } from '../../core/units.ts';
import type { BrokerService } from '../../proto/gen/grid/v1/broker.ts';
import { timeLimit } from '../../service/long-timer.ts';
import type { RpcClient } from '../../service/rpc/rpc.ts';
import type { Context } from '../context.ts';
import { argument, type Input } from '../input.ts';
import { awayNote, waitForJob } from '../jobs/follow.ts';
import { persistently } from '../jobs/submit.ts';
import { TIMED_OUT } from '../jobs/wait.ts';
import { agoText, countsText, facts, instantText, shorten, stateText, table } from '../render.ts';
import {
  afterText,
  type FlowDetail,
  type FlowView,
  flowView,
  type NodeView,
  readFlow,
} from './flow-view.ts';

/** `grid flow ls`. */
export async function listFlows(context: Context, input: Input): Promise<number> {
  using broker = await context.openBroker();
  const { terminal, colours, signal } = context;
  const limit = input.whole('limit') ?? 20;
  const wish = { everyone: input.on('all'), limit, pageToken: '' };
  const page = await broker.call.listFlows(wish, { signal });
  const flows = page.flows.map(flowView);
  if (context.json) {
    terminal.out(JSON.stringify(flows));
    return 0;
  }
  if (flows.length === 0) terminal.note('no flows');
  const nowMs = Date.now();
  const rows = flows.map((flow) => [
    flow.id,
    shorten(flow.name, 32),
    stateText(flow.state, colours),
    countsText(flow.counts, flow.nodes),
    agoText(flow.submittedAtMs, nowMs),
    ...(input.on('all') ? [flow.owner] : []),
  ]);
  const headings = ['id', 'name', 'state', 'jobs', 'submitted'];
  if (rows.length > 0)
    terminal.out(
      table(input.on('all') ? [...headings, 'owner'] : headings, rows, colours, terminal.columns),
    );
  if (page.nextPageToken !== '') terminal.note(`there are more: --limit ${limit * 5} shows them`);
  return 0;
}

/** `grid flow status`. */
export async function showFlow(context: Context, input: Input): Promise<number> {
  using broker = await context.openBroker();
  const detail = await readFlow(context, broker.call, argument(input, 0));
  context.terminal.out(context.json ? jsonOf(detail) : textOf(context, detail));
  return 0;
}

export const jsonOf = ({ flow, nodes }: FlowDetail): string =>
  JSON.stringify({
    ...flow,
    nodes: nodes.map(({ node, after, jobs, job }) => ({ node, after, jobs, job })),
  });

function textOf(context: Context, { flow, nodes }: FlowDetail): string {
  const { colours } = context;
  const nowMs = Date.now();
  const rows = nodes.map(({ node, after, job }) => [
    node,
    shorten(afterText(after), 32),
    stateText(job.state, colours),
    job.tasks === 1 ? '' : `${job.counts.done}/${job.tasks}`,
    shorten(job.sites.join(','), 24),
    job.id,
    [job.reason, job.detail].filter((text) => text !== '').join(': '),
  ]);
  const headings = ['job', 'after', 'state', 'tasks', 'site', 'id', 'why'];
  // Columns that are empty from top to bottom say nothing.
  const told = headings.map((_, column) => rows.some((row) => row[column] !== ''));
  const kept = (cells: readonly string[]): readonly string[] => cells.filter((_, n) => told[n]);
  return [
    facts(
      [
        ['flow', `${colours.strong(flow.id)} ${flow.name}`],
        ['state', stateText(flow.state, colours)],
        ['jobs', countsText(flow.counts, flow.nodes)],
        ['submitted', `${instantText(flow.submittedAtMs)} (${agoText(flow.submittedAtMs, nowMs)})`],
        ['ended', instantText(flow.endedAtMs)],
      ],
      colours,
    ),
    '',
    table(kept(headings), rows.map(kept), colours),
  ].join('\n');
}

/** `grid flow wait`. */
export async function waitForFlow(context: Context, input: Input): Promise<number> {
  using broker = await context.openBroker();
  const { terminal } = context;
  const id = argument(input, 0);
  const timeoutMs = input.duration('timeout');
  const timeout = timeoutMs === undefined ? undefined : timeLimit(timeoutMs);
  const signal =
    timeout === undefined ? context.signal : AbortSignal.any([context.signal, timeout]);
  let detail: FlowDetail;
  try {
    detail = await followFlow({ ...context, signal }, broker.call, id);
  } catch (error) {
    if (timeout?.aborted !== true || context.signal.aborted) throw error;
    detail = await readFlow(context, broker.call, id);
    terminal.note(`${id} is still ${detail.flow.state}: the time is over`);
    if (context.json) terminal.out(jsonOf(detail));
    return TIMED_OUT;
  }
  terminal.out(context.json ? jsonOf(detail) : lineOf(context, detail.flow));
  return detail.flow.state === 'done' ? 0 : 1;
}

/** Tells of each job as it ends, until all have. */
async function followFlow(
  context: Context,
  broker: RpcClient<BrokerService>,
  id: string,
): Promise<FlowDetail> {
  const { terminal, signal } = context;
  const onAway = awayNote(terminal.note);
  const told = new Set<string>();
  for (;;) {
    const detail = await persistently(context, () => readFlow(context, broker, id));
    for (const { node, job } of endedOf(detail.nodes, told)) {
      terminal.note(`${node} ${job.state}${job.reason === '' ? '' : ` (${job.reason})`}`);
      told.add(job.id);
    }
    const open = detail.nodes.find(({ job }) => !isFinal(job.state));
    if (open === undefined) return detail;
    await waitForJob({ broker, jobId: open.job.id, onAway, signal });
  }
}

const endedOf = (nodes: readonly NodeView[], told: ReadonlySet<string>): readonly NodeView[] =>
  nodes.filter(({ job }) => isFinal(job.state) && !told.has(job.id));

const lineOf = ({ colours }: Context, { id, state, counts, nodes }: FlowView): string =>
  `${id} ${stateText(state, colours)} ${countsText(counts, nodes)}`;

/** `grid flow cancel`. */
export async function cancelFlow(context: Context, input: Input): Promise<number> {
  using broker = await context.openBroker();
  const { terminal, signal } = context;
  const id = argument(input, 0);
  const { nodes } = await readFlow(context, broker.call, id);
  const jobIds = nodes.filter(({ job }) => !isFinal(job.state)).map(({ job }) => job.id);
  const reason = input.text('reason') ?? `flow ${id}`;
  const { cancelling } = await broker.call.cancelJobs({ jobIds, reason }, { signal });
  if (context.json) terminal.out(JSON.stringify({ id, cancelling }));
  else if (cancelling.length === 0) terminal.out(`${id} had ended already`);
  else terminal.out(`${id}: cancelling ${cancelling.length} of ${counted(nodes.length, 'job')}`);
  return 0;
}
