import { type ErrorCode, GridError } from '../../core/errors.ts';
import { isFinal } from '../../core/job/state.ts';
import type { BrokerService } from '../../proto/gen/grid/v1/broker.ts';
import type { Connection } from '../../service/rpc/grpc-client.ts';
import { fetchTree } from '../../service/staging/fetch-tree.ts';
import { loadManifest } from '../../service/staging/read-tree.ts';
import type { Context } from '../context.ts';
import { openUserStaging } from '../data/staging.ts';
import { type JobDetail, readJob } from '../jobs/job-detail.ts';
import { tailTask } from '../jobs/tail.ts';

/** Asking again may help: snakemake gives a workflow up when its status command fails, so it hears `running`. */
const PASSING: readonly ErrorCode[] = [
  'UNAVAILABLE',
  'DEADLINE_EXCEEDED',
  'STAGING_UNAVAILABLE',
  'LEDGER_UNAVAILABLE',
];
const STDERR_LINES = 15;
const STDERR_BYTES = 65_536;

/**
 * `grid status --snakemake`: `running`, `success` or `failed`. The outputs of a job that is done are put into the current
 * directory before `success` is said, because snakemake looks for them then.
 */
export async function tellSnakemake(context: Context, jobId: string): Promise<number> {
  const { terminal } = context;
  try {
    using broker = await context.openBroker();
    terminal.out(await wordFor(context, broker, jobId));
  } catch (error) {
    if (!(error instanceof GridError) || !PASSING.includes(error.code)) throw error;
    terminal.note(`${jobId}: ${error.code}: ${error.message}; asked again later`);
    terminal.out('running');
  }
  return 0;
}

async function wordFor(
  context: Context,
  broker: Connection<BrokerService>,
  jobId: string,
): Promise<string> {
  const detail = await readJob(context, broker, jobId);
  const { state, reason, detail: words } = detail.job;
  const { note } = context.terminal;
  if (!isFinal(state)) {
    if (state === 'held')
      note(`${jobId} is held (${reason}: ${words}): see \`grid status ${jobId}\``);
    return 'running';
  }
  if (state === 'done') {
    await fetchOutputs(context, broker, detail);
    return 'success';
  }
  note(`${jobId} ${state}: ${reason} ${words}`.trimEnd());
  await showErrors(context, broker, detail);
  return 'failed';
}

/** Everything but the two streams, over whatever is there: snakemake has decided to make it anew. */
async function fetchOutputs(
  context: Context,
  broker: Connection<BrokerService>,
  { spec, outputs }: JobDetail,
): Promise<void> {
  const tree = outputs.get(0);
  if (tree === undefined || tree.digest === '') return;
  await using store = await openUserStaging(context, broker.call, spec.vo);
  const { entries } = await loadManifest(store, tree, context.signal);
  const tops = new Set(entries.map(({ path }) => path.split('/')[0] ?? ''));
  const select = [...tops].filter((top) => top !== '.grid').map((top) => ({ from: top, to: top }));
  if (select.length > 0)
    await fetchTree(store, tree, context.cwd, { select, signal: context.signal });
}

/** The last that a failed job said. */
async function showErrors(
  context: Context,
  broker: Connection<BrokerService>,
  { job, spec, tasks }: JobDetail,
): Promise<void> {
  if ((tasks[0]?.attemptId ?? '') === '') return;
  const wish = { broker: broker.call, jobId: job.id, ordinal: 0, vo: spec.vo, follow: false };
  let end: Uint8Array = Buffer.alloc(0);
  for await (const part of tailTask(context, { ...wish, stream: 'stderr' }))
    end = Buffer.concat([end, part]).subarray(-STDERR_BYTES);
  const lines = Buffer.from(end).toString().trimEnd().split('\n').slice(-STDERR_LINES);
  for (const line of lines) context.terminal.note(`  ${line}`);
}
