import { constants, copyFile, type FileHandle, open, rm } from 'node:fs/promises';
import { CHUNK_BYTES } from '../../core/data/manifest.ts';
import { isZeros } from './holes.ts';

const BLOCK_BYTES = 512;
const { COPYFILE_EXCL, COPYFILE_FICLONE, COPYFILE_FICLONE_FORCE } = constants;

/**
 * Copies a file to `target`, which must not exist; shares its blocks where the file system can. Where it cannot, a file that takes
 * less than its size keeps its holes from 1 MiB on. Throws what the system says.
 */
export async function copySparse(path: string, target: string): Promise<void> {
  await using from = await open(path);
  const { size, blocks } = await from.stat();
  if (blocks * BLOCK_BYTES >= size) {
    await copyFile(path, target, COPYFILE_EXCL | COPYFILE_FICLONE);
    return;
  }
  const isCloned = await copyFile(path, target, COPYFILE_EXCL | COPYFILE_FICLONE_FORCE).then(
    () => true,
    () => false,
  );
  if (isCloned) return;
  await using to = await open(target, 'wx');
  try {
    const buffer = Buffer.allocUnsafe(CHUNK_BYTES);
    for (let at = 0; at < size; ) {
      const { bytesRead } = await from.read(buffer, 0, CHUNK_BYTES, at);
      if (bytesRead === 0) break;
      if (!isZeros(buffer.subarray(0, bytesRead))) await writeAt(to, buffer, bytesRead, at);
      at += bytesRead;
    }
    await to.truncate(size);
  } catch (error) {
    await rm(target, { force: true });
    throw error;
  }
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
