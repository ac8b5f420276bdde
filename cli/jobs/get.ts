import { resolve } from 'node:path';
import type { TreeRef } from '../../core/data/manifest.ts';
import { GridError } from '../../core/errors.ts';
import type { JobSpec } from '../../core/job/spec.ts';
import { isFinal } from '../../core/job/state.ts';
import { counted, formatBytes } from '../../core/units.ts';
import type { BrokerService } from '../../proto/gen/grid/v1/broker.ts';
import type { Connection } from '../../service/rpc/grpc-client.ts';
import type { Context } from '../context.ts';
import { openUserStaging } from '../data/staging.ts';
import { argument, type Input } from '../input.ts';
import { openProgress } from '../progress.ts';
import { agoText } from '../render.ts';
import { fetchResults, hereText, type Result } from './fetch-results.ts';
import { type JobDetail, readJob, removedText } from './job-detail.ts';
import type { LiveView } from './job-view.ts';
import { taskOrdinal } from './task-ordinal.ts';

/** Which results, and where to. */
export interface GetOptions {
  readonly to: string | undefined;
  readonly task: string | undefined;
  readonly force: boolean;
  /** What there is of the live outputs of tasks without results, and no results. */
  readonly live: boolean;
}

/** What was fetched. */
export interface Fetched {
  readonly dir: string;
  readonly files: number;
  readonly tasks: number;
  readonly totalBytes: number;
  /** Bytes of them that did not come over the network, because they were here, or twice among them. */
  readonly hereBytes: number;
  /** Present where these are no results, but what tasks had made when their sites looked at them last. */
  readonly partial?: readonly PartialTask[];
}

/** What was fetched of a task without results. */
interface PartialTask extends Pick<LiveView, 'attemptId' | 'site' | 'atMs' | 'trouble'> {
  readonly task: number;
}

/** `grid get`. */
export async function getResults(context: Context, input: Input): Promise<number> {
  using broker = await context.openBroker();
  const detail = await readJob(context, broker, argument(input, 0));
  const options = {
    to: input.text('to'),
    task: input.text('task'),
    force: input.on('force'),
    live: input.on('live'),
  };
  const fetched = await fetchJob(context, broker, detail, options);
  const { job } = detail;
  if (context.json) context.terminal.out(JSON.stringify({ id: job.id, ...fetched }));
  else {
    context.terminal.out(fetched.dir);
    const of = job.tasks === 1 ? '' : ` from ${fetched.tasks} of ${job.tasks} tasks`;
    const files = `${counted(fetched.files, 'file')}${of}`;
    context.terminal.note(`${files}, ${formatBytes(fetched.totalBytes)}${hereText(fetched)}`);
    for (const line of partialNotes(detail, fetched)) context.terminal.note(line);
  }
  return 0;
}

/** Says what is not the result, and how to get what is not there. */
function partialNotes({ job, tasks }: JobDetail, { partial }: Fetched): readonly string[] {
  const nowMs = Date.now();
  if (partial !== undefined) {
    const oldest = partial.toSorted((a, b) => a.atMs - b.atMs)[0];
    const at = oldest === undefined ? '' : ` at ${oldest.site} ${agoText(oldest.atMs, nowMs)}`;
    const troubles = new Set(partial.map(({ trouble }) => trouble).filter((text) => text !== ''));
    return [
      `partial: what there was${at}, not the results`,
      ...[...troubles].map((trouble) => `nothing newer: ${trouble}`),
    ];
  }
  const count = tasks.filter(({ live }) => (live?.files ?? 0) > 0).length;
  if (count === 0) return [];
  const some = `${counted(count, 'task')} ${count === 1 ? 'has' : 'have'}`;
  return [`${some} live outputs so far: grid get ${job.id} --live`];
}

/**
 * Fetches what the tasks that have ended left behind, or if none has left anything, what there is of live outputs: into a
 * directory of its own, so that it is never taken for the results. Throws NO_RESULT_YET where there is nothing, ALREADY_EXISTS.
 */
export async function fetchJob(
  context: Context,
  broker: Connection<BrokerService>,
  detail: JobDetail,
  options: GetOptions,
): Promise<Fetched> {
  const { job, spec } = detail;
  const base = `${fileName(job.name)}-${job.id}`;
  const full = resolve(context.cwd, options.to ?? base);
  const final = options.live ? [] : resultsOf(detail, full, options.task);
  const isPartial = final.length === 0;
  const dir = isPartial ? resolve(context.cwd, options.to ?? `${base}-partial`) : full;
  const results = isPartial ? liveOf(detail, dir, options.task) : final;
  if (results.length === 0) throw nothingYet(detail, options);
  await using store = await openUserStaging(context, broker.call, spec.vo);
  const fetched = await fetchResults({
    store,
    results,
    // The directory for what is partial is the grid's own, and files in it grow.
    force: options.force || (isPartial && options.to === undefined),
    signal: context.signal,
    show: (what) => openProgress(context, what),
  });
  const partial = isPartial ? { partial: partialOf(detail, results) } : {};
  return { dir, ...fetched, tasks: results.length, ...partial };
}

function nothingYet(detail: JobDetail, { live }: GetOptions): GridError {
  const { job, tasks } = detail;
  const { id, state } = job;
  const trouble = tasks.find((task) => (task.live?.trouble ?? '') !== '')?.live?.trouble;
  const why = trouble === undefined ? '' : ` (${trouble})`;
  checkNotRemoved(detail);
  if (live) return new GridError('NO_RESULT_YET', `job ${id} has no live outputs so far${why}`);
  return new GridError(
    'NO_RESULT_YET',
    isFinal(state)
      ? `job ${id} is ${state} and left no results${why}`
      : `job ${id} is ${state}: no task has ended${why}`,
  );
}

/** Throws RESULTS_REMOVED where somebody let go of the results. */
export function checkNotRemoved(detail: JobDetail): void {
  const removed = removedText(detail);
  if (removed === '') return;
  throw new GridError('RESULTS_REMOVED', `the results of job ${detail.job.id} were ${removed}`);
}

/** The results of a task. */
interface TaskResult extends Result {
  readonly ordinal: number;
}

function resultsOf(detail: JobDetail, dir: string, wanted?: string): readonly TaskResult[] {
  const { tasks, outputs } = detail;
  const ended = tasks.filter(({ state }) => isFinal(state));
  return treesOf({ ...detail, tasks: ended }, outputs, dir, wanted);
}

const liveOf = (detail: JobDetail, dir: string, wanted?: string): readonly TaskResult[] =>
  treesOf(detail, detail.live, dir, wanted);

function treesOf(
  { spec, tasks }: Pick<JobDetail, 'spec' | 'tasks'>,
  trees: ReadonlyMap<number, TreeRef>,
  dir: string,
  wanted: string | undefined,
): readonly TaskResult[] {
  const only = wanted === undefined ? undefined : taskOrdinal(spec, wanted);
  return tasks
    .filter(({ ordinal }) => only === undefined || ordinal === only)
    .flatMap(({ ordinal, value }) => {
      const tree = trees.get(ordinal);
      if (tree === undefined || tree.digest === '') return [];
      return [{ ordinal, tree, dir: resolve(dir, folderOf(spec, value, ordinal)) }];
    });
}

function partialOf({ tasks }: JobDetail, results: readonly TaskResult[]): readonly PartialTask[] {
  const fetched = new Set(results.map(({ ordinal }) => ordinal));
  return tasks.flatMap(({ ordinal, live }) => {
    if (live === undefined || !fetched.has(ordinal)) return [];
    const { attemptId, site, atMs, trouble } = live;
    return [{ task: ordinal, attemptId, site, atMs, trouble }];
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
