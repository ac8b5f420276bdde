import { type FileHandle, open } from 'node:fs/promises';
import { join } from 'node:path';
import { GridError } from '../core/errors.ts';
import { type TailChunk, TreeRef } from '../proto/gen/grid/v1/common.ts';
import { pause } from '../service/background.ts';
import type { LiveView } from './supervisor.ts';

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
  readonly offset: number;
  readonly follow: boolean;
}

const BLOCK_BYTES = 256 * 1024;
const POLL_MS = 200;

/**
 * The bytes of a stream from an offset on; with `follow` until the attempt has ended. Where the directory is gone, one
 * chunk says in which tree the bytes are. Throws ATTEMPT_NOT_FOUND.
 */
export async function* tail(
  source: TailSource,
  wish: TailWish,
  signal: AbortSignal,
): AsyncGenerator<TailChunk> {
  if (source.find(wish.id) === undefined && !source.known(wish.id))
    throw new GridError('ATTEMPT_NOT_FOUND', `attempt ${wish.id} is not known at this site`);
  const file = join(source.directoryOf(wish.id), wish.stream);
  let { offset } = wish;
  let handle: FileHandle | undefined;
  try {
    while (!signal.aborted) {
      // In this order: what was written before the end is read after it was seen.
      const live = source.find(wish.id);
      handle ??= await openIfThere(file);
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
      if (!wish.follow) return;
      await Promise.race([pause(POLL_MS, signal), live.over]);
    }
  } finally {
    await handle?.close();
  }
}

const EMPTY = Buffer.alloc(0);

const storedOf = (source: TailSource, id: string): TreeRef =>
  source.outputsOf(id) ?? TreeRef.create();

async function openIfThere(file: string): Promise<FileHandle | undefined> {
  try {
    return await open(file);
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined;
    throw error;
  }
}

async function readBlock(handle: FileHandle, offset: number): Promise<Buffer> {
  const buffer = Buffer.allocUnsafe(BLOCK_BYTES);
  const { bytesRead } = await handle.read(buffer, 0, buffer.byteLength, offset);
  return buffer.subarray(0, bytesRead);
}
