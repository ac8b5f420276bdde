import { createHash } from 'node:crypto';
import { type BigIntStats, constants } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import { pipeline } from 'node:stream/promises';

const FLAGS = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK;

/** What reading a file takes, and tells. */
export interface Reading {
  readonly onBytes?: ((bytes: number) => void) | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** Opens what may have become a link, which is an error, or a pipe, for whose other end nobody waits. */
export const openAsItIs = (file: string): Promise<FileHandle> => open(file, FLAGS);

/** SHA-256 (lower-case hex) of a file's content; undefined where it cannot be read, or is a link or a pipe. Throws when `signal` aborts. */
export async function digestOfFile(file: string, reading?: Reading): Promise<string | undefined> {
  const handle = await openAsItIs(file).catch(() => undefined);
  if (handle === undefined) return undefined;
  await using held = handle;
  return await digestOf(held, reading);
}

/** The same of a file that was opened and not read yet; it stays open. */
export async function digestOf(
  handle: FileHandle,
  { onBytes, signal }: Reading = {},
): Promise<string | undefined> {
  const hash = createHash('sha256');
  const content = handle.createReadStream({ highWaterMark: 2 ** 20, autoClose: false });
  if (onBytes !== undefined) content.on('data', (bytes) => onBytes(bytes.length));
  const found = await pipeline(content, hash, { signal }).then(
    () => hash.digest('hex'),
    () => undefined,
  );
  signal?.throwIfAborted();
  return found;
}

/** Another stamp says that the file has been written, replaced or renamed over since. */
export const stampOf = ({ dev, ino, size, mtimeNs, ctimeNs }: BigIntStats): string =>
  [dev, ino, size, mtimeNs, ctimeNs].join(' ');
