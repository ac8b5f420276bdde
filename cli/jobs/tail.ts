import { GridError } from '../../core/errors.ts';
import { isFinal } from '../../core/job/state.ts';
import type { BrokerService, TailTaskRequest } from '../../proto/gen/grid/v1/broker.ts';
import { Stream, type TailChunk } from '../../proto/gen/grid/v1/common.ts';
import type { RpcClient } from '../../service/rpc/rpc.ts';
import { treeFromWire } from '../../service/rpc/wire.ts';
import { readTreeFile } from '../../service/staging/read-tree.ts';
import type { Context } from '../context.ts';
import { openUserStaging } from '../data/staging.ts';
import { agoText } from '../render.ts';
import { awayNote, persist } from './follow.ts';
import { type TaskView, taskView } from './job-view.ts';

/** Which output to show. */
export interface TailOptions {
  readonly broker: RpcClient<BrokerService>;
  readonly jobId: string;
  readonly ordinal: number;
  readonly stream: 'stdout' | 'stderr';
  /** In the directory of the task, instead of the stream; '' for the stream. */
  readonly file?: string;
  readonly vo: string;
  /** Until the task has ended. */
  readonly follow: boolean;
  readonly onAway?: (away: boolean) => void;
  /** Where another stream of the same task tells of its tries. */
  readonly isSilent?: boolean;
}

/** The output of a task, in order and once, wherever it is: at the site, or in the store when the task has ended. */
export function tailTask(context: Context, options: TailOptions): AsyncGenerator<Uint8Array> {
  const { follow, isSilent = false, onAway = awayNote(context.terminal.note) } = options;
  const { signal, terminal } = context;
  const place = { attempt: '', offset: 0 };
  return persist({ signal, onAway }, async function* (alive) {
    const task = await taskOf(context, options);
    alive();
    if (task === undefined || task.attemptId === '') return waitOrEnd(options, task);
    if (task.attemptId !== place.attempt) {
      // Another try begins its output anew.
      if (place.attempt !== '' && !isSilent) terminal.note(`tried again at ${task.site}`);
      place.attempt = task.attemptId;
      place.offset = 0;
    }
    const ended = isFinal(task.state);
    try {
      yield* readOnce(context, options, place, task);
    } catch (error) {
      if (!follow || ended || !isNotYet(error)) throw error;
      return 'again';
    }
    // A stream that was opened while the task ran may have been cut by a broker that stopped.
    return ended || !follow ? 'through' : 'at once';
  });
}

/** From where the last stream was left; moves `place.offset` on. */
async function* readOnce(
  context: Context,
  options: TailOptions,
  place: { offset: number },
  { live, site }: TaskView,
): AsyncGenerator<Uint8Array> {
  const request = requestOf(options, place.offset);
  for await (const chunk of options.broker.tailTask(request, { signal: context.signal })) {
    const bytes = unseen(chunk, place.offset);
    place.offset += bytes.byteLength;
    if (bytes.byteLength > 0) yield bytes;
    if (chunk.stored === undefined) continue;
    // There are live outputs only as long as there are no results.
    if (live !== undefined)
      context.terminal.note(`partial: what ${site} had sent ${agoText(live.atMs, Date.now())}`);
    for await (const part of storedBytes(context, options, chunk, place.offset)) {
      place.offset += part.byteLength;
      yield part;
    }
  }
}

const isNotYet = (error: unknown): boolean =>
  error instanceof GridError &&
  (error.code === 'ATTEMPT_NOT_FOUND' || error.code === 'NO_RESULT_YET');

function waitOrEnd({ follow }: TailOptions, task: TaskView | undefined): 'through' | 'again' {
  if (task !== undefined && isFinal(task.state)) return 'through';
  if (follow) return 'again';
  throw new GridError('NO_RESULT_YET', 'the task has not been placed yet: there is no output');
}

async function taskOf(
  context: Context,
  { broker, jobId, ordinal }: TailOptions,
): Promise<TaskView | undefined> {
  const request = { jobId, summaryOnly: false, firstTask: ordinal, maxTasks: 1 };
  const [task] = (await broker.getJob(request, { signal: context.signal })).tasks;
  return task?.ordinal === ordinal ? taskView(task) : undefined;
}

const requestOf = (options: TailOptions, offset: number): TailTaskRequest => ({
  jobId: options.jobId,
  ordinal: options.ordinal,
  stream: options.stream === 'stdout' ? Stream.STREAM_STDOUT : Stream.STREAM_STDERR,
  offset,
  follow: options.follow,
  file: options.file ?? '',
});

/** The part of a chunk from `offset` on; a gateway may send a little again. */
function unseen(chunk: TailChunk, offset: number): Uint8Array {
  return chunk.data.subarray(Math.max(0, Math.min(chunk.data.length, offset - chunk.offset)));
}

async function* storedBytes(
  context: Context,
  { broker, vo, stream, file = '' }: TailOptions,
  chunk: TailChunk,
  offset: number,
): AsyncGenerator<Uint8Array> {
  const tree = treeFromWire(chunk.stored);
  if (tree.digest === '') return;
  await using store = await openUserStaging(context, broker, vo);
  let at = 0;
  const path = file === '' ? `.grid/${stream}` : file;
  for await (const bytes of readStored(store, tree, path, context.signal)) {
    const skip = Math.max(0, Math.min(bytes.byteLength, offset - at));
    at += bytes.byteLength;
    if (skip < bytes.byteLength) yield bytes.subarray(skip);
  }
}

async function* readStored(
  ...[store, tree, path, signal]: Parameters<typeof readTreeFile>
): AsyncGenerator<Uint8Array> {
  try {
    yield* readTreeFile(store, tree, path, signal);
  } catch (error) {
    if (!(error instanceof GridError) || error.code !== 'INPUT_MISSING') throw error;
    throw new GridError('TASK_FILE_NOT_FOUND', `the task has left no output '${path}'`);
  }
}
