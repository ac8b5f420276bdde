import { constants, copyFile, type FileHandle, open, rm } from 'node:fs/promises';
import { CHUNK_BYTES } from '../../core/data/manifest.ts';
import { openByteBudget } from './byte-budget.ts';
import { isZeros } from './holes.ts';

const { COPYFILE_EXCL, COPYFILE_FICLONE, COPYFILE_FICLONE_FORCE } = constants;

/** Of all copies of this process: a piece holds one of the few threads that all other work on files needs, too. */
const PIECES_AT_ONCE = 2;
const pieces = openByteBudget(() => PIECES_AT_ONCE);
const buffers: Buffer[] = [];

/**
 * Copies a file to `target`, which must not exist; shares its blocks where the file system can. Where it cannot, a file of more than
 * 1 MiB is copied in pieces of that, and such of zeros become holes. Throws what the system says, or the reason of `signal`;
 * leaves no half of a large file.
 */
export async function copySparse(
  path: string,
  target: string,
  signal?: AbortSignal,
): Promise<void> {
  await using from = await open(path);
  const { size } = await from.stat();
  if (size <= CHUNK_BYTES) {
    await copyFile(path, target, COPYFILE_EXCL | COPYFILE_FICLONE);
    return;
  }
  const isCloned = await copyFile(path, target, COPYFILE_EXCL | COPYFILE_FICLONE_FORCE).then(
    () => true,
    () => false,
  );
  if (isCloned) return;
  await using to = await open(target, 'wx', 0o600);
  try {
    await copyPieces(from, to, size, signal);
  } catch (error) {
    await rm(target, { force: true });
    throw error;
  }
}

async function copyPieces(
  from: FileHandle,
  to: FileHandle,
  size: number,
  signal: AbortSignal | undefined,
): Promise<void> {
  for (let at = 0; at < size; ) {
    await pieces.take(1);
    const buffer = buffers.pop() ?? Buffer.allocUnsafe(CHUNK_BYTES);
    try {
      signal?.throwIfAborted();
      const { bytesRead } = await from.read(buffer, 0, CHUNK_BYTES, at);
      if (bytesRead === 0) break;
      if (!isZeros(buffer.subarray(0, bytesRead))) await writeAt(to, buffer, bytesRead, at);
      at += bytesRead;
    } finally {
      buffers.push(buffer);
      pieces.give(1);
    }
  }
  await to.truncate(size);
}

async function writeAt(
  to: FileHandle,
  bytes: Buffer,
  length: number,
  position: number,
): Promise<void> {
  for (let done = 0; done < length; )
    done += (await to.write(bytes, done, length - done, position + done)).bytesWritten;
}
