import { resolve } from 'node:path';
import { GridError } from '../core/errors.ts';
import type { JobSpec } from '../core/job/spec.ts';
import { isFinal } from '../core/job/state.ts';
import { formatBytes } from '../core/units.ts';
import type { BrokerService } from '../proto/gen/grid/v1/broker.ts';
import type { Connection } from '../service/grpc-client.ts';
import type { Context } from './context.ts';
import { fetchResults, type Result } from './fetch-results.ts';
import { argument, type Input } from './input.ts';
import { openProgress } from './progress.ts';
import { openUserStaging } from './staging.ts';
import { type JobDetail, readJob } from './status.ts';
import { taskOrdinal } from './task-ordinal.ts';

/** Which results, and where to. */
export interface GetOptions {
  readonly to: string | undefined;
  readonly task: string | undefined;
  readonly force: boolean;
}

/** What was fetched. */
export interface Fetched {
  readonly dir: string;
  readonly files: number;
  readonly tasks: number;
  readonly totalBytes: number;
  /** Bytes of them that did not come over the network, because they were here, or twice among them. */
  readonly hereBytes: number;
}

/** `grid get`. */
export async function getResults(context: Context, input: Input): Promise<number> {
  using broker = await context.openBroker();
  const detail = await readJob(context, broker, argument(input, 0));
  const options = { to: input.text('to'), task: input.text('task'), force: input.on('force') };
  const fetched = await fetchJob(context, broker, detail, options);
  const { job } = detail;
  if (context.json) context.terminal.out(JSON.stringify({ id: job.id, ...fetched }));
  else {
    context.terminal.out(fetched.dir);
    const of = job.tasks === 1 ? '' : ` from ${fetched.tasks} of ${job.tasks} tasks`;
    const here =
      fetched.hereBytes === 0 ? '' : ` (${formatBytes(fetched.hereBytes)} need not come)`;
    const files = `${fetched.files} ${fetched.files === 1 ? 'file' : 'files'}${of}`;
    context.terminal.note(`${files}, ${formatBytes(fetched.totalBytes)}${here}`);
  }
  return 0;
}

/** Fetches what the tasks that have ended left behind; throws NO_RESULT_YET where there is nothing, ALREADY_EXISTS. */
export async function fetchJob(
  context: Context,
  broker: Connection<BrokerService>,
  detail: JobDetail,
  options: GetOptions,
): Promise<Fetched> {
  const { job, spec } = detail;
  const dir = resolve(context.cwd, options.to ?? `${fileName(job.name)}-${job.id}`);
  const results = resultsOf(detail, dir, options.task);
  if (results.length === 0)
    throw new GridError(
      'NO_RESULT_YET',
      isFinal(job.state)
        ? `job ${job.id} is ${job.state} and left no results`
        : `job ${job.id} is ${job.state}: no task has ended`,
    );
  await using store = await openUserStaging(context, broker.call, spec.vo);
  const progress = await openProgress(context, 'fetching');
  try {
    const fetched = await fetchResults({
      store,
      results,
      force: options.force,
      signal: context.signal,
      onProgress: progress.update,
    });
    return { dir, ...fetched, tasks: results.length };
  } finally {
    progress.stop();
  }
}

function resultsOf(
  { spec, tasks, outputs }: JobDetail,
  dir: string,
  wanted: string | undefined,
): readonly Result[] {
  const only = wanted === undefined ? undefined : taskOrdinal(spec, wanted);
  return tasks
    .filter(({ ordinal, state }) => isFinal(state) && (only === undefined || ordinal === only))
    .flatMap(({ ordinal, value }) => {
      const tree = outputs.get(ordinal);
      if (tree === undefined || tree.digest === '') return [];
      return [{ tree, dir: resolve(dir, folderOf(spec, value, ordinal)) }];
    });
}

/** Below the directory of the job: its task's value, or nothing for the only task. */
function folderOf(spec: JobSpec, value: string, ordinal: number): string {
  if (spec.array === undefined) return '.';
  const name = fileName(value);
  return name === value ? name : `${name}-${ordinal}`;
}

/** A text as the name of a directory. */
const fileName = (text: string): string =>
  text.replaceAll(/[^\p{L}\p{N}._+=@-]/gu, '_').replace(/^\.+/, '_') || '_';
