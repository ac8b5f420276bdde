import { lstat, statfs } from 'node:fs/promises';
import type { FileEntry } from '../../core/data/select.ts';
import { GridError } from '../../core/errors.ts';
import { formatBytes, formatBytesBeside } from '../../core/units.ts';
import { mapAtOnce } from './at-once.ts';
import type { FileCache } from './file-cache.ts';
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
  const wanted = roomOf(files);
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
 * The same for a cache, which makes room for itself: only what is larger than the whole file system is refused, for some of the
 * files may be on their way already for somebody else. Where it gives copies there must be room for these, too.
 */
export async function makeCacheRoom(
  { target, root }: Filled,
  files: readonly FileEntry[],
  cache: Pick<FileCache, 'copies' | 'free' | 'sizeOf'>,
): Promise<void> {
  const contents = [...new Map(files.map((file) => [file.digest, file])).values()];
  const once = roomOf(contents);
  const { blocks, bavail, bsize } = await statfs(root);
  if (once > blocks * bsize) throw noRoom(target, once, blocks * bsize);
  const room = bavail * bsize;
  const copied = cache.copies ? roomOf(files) : 0;
  if (once + copied <= room) return;
  const there = await mapAtOnce(LOOKS_AT_ONCE, contents, (file) => cache.sizeOf(file));
  const short = roomOf(contents.filter((_, at) => there[at] === undefined)) + copied - room;
  if (short > 0) await cache.free(short);
}

const LOOKS_AT_ONCE = 32;

const roomOf = (files: readonly FileEntry[]): number =>
  files.reduce((sum, file) => sum + bytesWritten(file), 0);

const noRoom = (dir: string, wanted: number, room: number): GridError =>
  new GridError(
    'DISK_FULL',
    `${formatBytes(wanted)} are to be written to ${dir}, where there is room for ${formatBytesBeside(room, wanted)}: nothing was fetched`,
  );
