import type { FileHandle } from 'node:fs/promises';
import { join } from 'node:path';
import { safePath } from '../../core/data/paths.ts';
import { GridError } from '../../core/errors.ts';
import { type TailChunk, TreeRef } from '../../proto/gen/grid/v1/common.ts';
import { pause } from '../../service/background.ts';
import type { LiveView } from '../attempts/supervisor.ts';
import { openWithin } from './open-within.ts';

export interface TailSource {
  /** The attempt while it lives. */
  find(id: string): LiveView | undefined;
  /** Its directory, live or not. */
  directoryOf(id: string): string;
  /** Whether the journal has it. */
  known(id: string): boolean;
  /** Its outputs once it has ended. */
  outputsOf(id: string): TreeRef | undefined;
}

export interface TailWish {
  readonly id: string;
  readonly stream: 'stdout' | 'stderr';
  /** In the directory of the task, instead of the stream; '' for the stream. */
  readonly file: string;
  readonly offset: number;
  readonly follow: boolean;
}

const BLOCK_BYTES = 256 * 1024;
const POLL_MS = 200;

/**
 * The bytes of a stream or file from an offset on; with `follow` until the attempt has ended, also of a file that the task
 * has yet to make. Where the directory is gone, one chunk says in which tree the bytes are. Throws ATTEMPT_NOT_FOUND,
 * TASK_FILE_NOT_FOUND, and PATH_REFUSED for a path or a link that leads out of the directory.
 */
export async function* tail(
  source: TailSource,
  wish: TailWish,
  signal: AbortSignal,
): AsyncGenerator<TailChunk> {
  const opened = openerOf(source, wish);
  let { offset } = wish;
  let handle: FileHandle | undefined;
  const looks = endOfLooks(source, wish, signal);
  try {
    while (!signal.aborted) {
      // In this order: what was written before the end is read after it was seen.
      const live = source.find(wish.id);
      handle ??= await opened();
      const data = handle === undefined ? undefined : await readBlock(handle, offset);
      if (data !== undefined && data.byteLength > 0) {
        yield { offset, data, stored: undefined };
        offset += data.byteLength;
        continue;
      }
      if (live === undefined) {
        if (handle === undefined) yield { offset, data: EMPTY, stored: storedOf(source, wish.id) };
        return;
      }
      if (!wish.follow && handle === undefined) assertStream(wish);
      if (!wish.follow) return;
      await pause(POLL_MS, looks);
    }
  } finally {
    await handle?.close();
  }
}

/** Made once, not at each look: a task may be followed for weeks, and a promise remembers all who ever waited for it. */
function endOfLooks(source: TailSource, { id }: TailWish, signal: AbortSignal): AbortSignal {
  const over = new AbortController();
  void source.find(id)?.over.then(() => over.abort());
  return AbortSignal.any([signal, over.signal]);
}

/** Opens what is wanted, once it is there. */
function openerOf(source: TailSource, wish: TailWish): () => Promise<FileHandle | undefined> {
  const { id, file, stream } = wish;
  if (source.find(id) === undefined && !source.known(id))
    throw new GridError('ATTEMPT_NOT_FOUND', `attempt ${id} is not known at this site`);
  const directory = source.directoryOf(id);
  if (file === '') return () => openWithin(directory, stream);
  const path = safePath(file);
  return () => openWithin(join(directory, 'work'), path);
}

/** A stream that has yet to begin is empty; a file is not there. */
function assertStream({ file }: TailWish): void {
  if (file !== '') throw new GridError('TASK_FILE_NOT_FOUND', `the task has no file '${file}' yet`);
}

const EMPTY = Buffer.alloc(0);

const storedOf = (source: TailSource, id: string): TreeRef =>
  source.outputsOf(id) ?? TreeRef.create();

async function readBlock(handle: FileHandle, offset: number): Promise<Buffer> {
  const buffer = Buffer.allocUnsafe(BLOCK_BYTES);
  const { bytesRead } = await handle.read(buffer, 0, buffer.byteLength, offset);
  return buffer.subarray(0, bytesRead);
}
