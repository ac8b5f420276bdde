import { createHash } from 'node:crypto';
import { constants } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import { pipeline } from 'node:stream/promises';

const FLAGS = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK;

/** Opens what may have become a link, which is an error, or a pipe, for whose other end nobody waits. */
export const openAsItIs = (file: string): Promise<FileHandle> => open(file, FLAGS);

/** SHA-256 (lower-case hex) of a file's content; undefined where it cannot be read, or is a link or a pipe. */
export async function digestOfFile(file: string): Promise<string | undefined> {
  const handle = await openAsItIs(file).catch(() => undefined);
  if (handle === undefined) return undefined;
  await using held = handle;
  return await digestOf(held);
}

/** The same of a file that was opened and not read yet; it stays open. */
export async function digestOf(handle: FileHandle): Promise<string | undefined> {
  const hash = createHash('sha256');
  const content = handle.createReadStream({ highWaterMark: 2 ** 20, autoClose: false });
  return pipeline(content, hash).then(
    () => hash.digest('hex'),
    () => undefined,
  );
}
