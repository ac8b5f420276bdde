import { lstat, statfs } from 'node:fs/promises';
import type { FileEntry } from '../../core/data/select.ts';
import { GridError } from '../../core/errors.ts';
import { formatBytes } from '../../core/units.ts';
import { bytesWritten } from './holes.ts';

/** A folder that is to be filled: its name, and where it is at this moment. */
interface Filled {
  readonly target: string;
  readonly root: string;
}

/**
 * Throws DISK_FULL where `files` cannot fit below a folder, before any of them is fetched. `placeOf` says what a file will
 * replace: the room of that counts, as it is freed on the way.
 */
export async function checkRoom(
  { target, root }: Filled,
  files: readonly FileEntry[],
  placeOf: (file: FileEntry) => string,
): Promise<void> {
  const wanted = files.reduce((sum, file) => sum + bytesWritten(file), 0);
  const { bfree, bsize } = await statfs(root);
  const free = bfree * bsize;
  if (wanted <= free) return;
  let replaced = 0;
  for (const file of files) {
    replaced += (await lstat(placeOf(file)).catch(() => undefined))?.size ?? 0;
  }
  if (wanted > free + replaced) throw noRoom(target, wanted, free);
}

/**
 * The same for a cache, which makes room for itself with `free`: only what is larger than the whole file system is refused,
 * for some of the files may be on their way already for somebody else.
 */
export async function makeCacheRoom(
  { target, root }: Filled,
  files: readonly FileEntry[],
  free: (bytes: number) => Promise<void>,
): Promise<void> {
  const sizes = new Map(files.map((file) => [file.digest, bytesWritten(file)]));
  const wanted = [...sizes.values()].reduce((sum, bytes) => sum + bytes, 0);
  const { blocks, bavail, bsize } = await statfs(root);
  if (wanted > blocks * bsize) throw noRoom(target, wanted, blocks * bsize);
  const short = wanted - bavail * bsize;
  if (short > 0) await free(short);
}

const noRoom = (dir: string, wanted: number, room: number): GridError =>
  new GridError(
    'DISK_FULL',
    `${formatBytes(wanted)} are to be written to ${dir}, where there is room for ${formatBytes(room)}: nothing was fetched`,
  );
