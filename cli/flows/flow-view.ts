import { formatDependency } from '../../core/job/dependency.ts';
import { orderNodes } from '../../core/job/flow.ts';
import type { Dependency } from '../../core/job/spec.ts';
import type { JobState } from '../../core/job/state.ts';
import type { TaskCounts } from '../../core/job/summary.ts';
import type {
  BrokerService,
  FlowSummary,
  GetFlowResponse,
  NewJob,
} from '../../proto/gen/grid/v1/broker.ts';
import type { RpcClient } from '../../service/rpc/rpc.ts';
import { dependencyFromWire, stateFromWire } from '../../service/rpc/wire.ts';
import type { Context } from '../context.ts';
import { type JobView, jobView, NO_COUNTS } from '../jobs/job-view.ts';

/** A flow as the CLI shows it. */
export interface FlowView {
  readonly id: string;
  readonly name: string;
  readonly state: JobState;
  readonly owner: string;
  readonly vo: string;
  readonly submittedAtMs: number;
  /** 0 while it has not ended. */
  readonly endedAtMs: number;
  /** Jobs. */
  readonly nodes: number;
  /** Jobs by state. */
  readonly counts: TaskCounts;
}

/** A job of a flow as the CLI shows it; `job.id` is that of its last job. */
export interface NodeView {
  readonly node: string;
  readonly after: readonly Dependency[];
  /** How many jobs it has had. */
  readonly jobs: number;
  readonly job: JobView;
  readonly definition: NewJob | undefined;
}

/** A flow with its nodes, each behind those it comes after. */
export interface FlowDetail {
  readonly flow: FlowView;
  readonly nodes: readonly NodeView[];
}

export function flowView(flow: FlowSummary | undefined): FlowView {
  if (flow === undefined) throw new TypeError('the broker sent no flow');
  const { owner, state, counts, ...rest } = flow;
  return {
    ...rest,
    state: stateFromWire(state),
    owner: owner?.dn ?? '',
    vo: owner?.vo ?? '',
    counts: counts ?? NO_COUNTS,
  };
}

/** Reads a flow; `withDefinitions` also what was asked of each node. */
export async function readFlow(
  { signal }: Pick<Context, 'signal'>,
  broker: RpcClient<BrokerService>,
  flowId: string,
  withDefinitions = false,
): Promise<FlowDetail> {
  return detailOf(await broker.getFlow({ flowId, withDefinitions }, { signal }));
}

function detailOf({ flow, nodes }: GetFlowResponse): FlowDetail {
  const views = new Map(
    nodes.map(({ name, job, after, jobs, definition }): [string, NodeView] => [
      name,
      { node: name, after: after.map(dependencyFromWire), jobs, job: jobView(job), definition },
    ]),
  );
  const { order } = orderNodes(edgesOf([...views.values()]));
  return { flow: flowView(flow), nodes: order.flatMap((name) => views.get(name) ?? []) };
}

/** The nodes with the names of those they come after. */
export const edgesOf = (
  nodes: readonly { readonly node: string; readonly after: readonly Dependency[] }[],
): ReadonlyMap<string, readonly string[]> =>
  new Map(nodes.map(({ node, after }) => [node, after.map(({ job }) => job)]));

/** `left, right:any`. */
export const afterText = (after: readonly Dependency[]): string =>
  after.map(formatDependency).join(', ');
