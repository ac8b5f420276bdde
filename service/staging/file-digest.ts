import { createHash } from 'node:crypto';
import { constants } from 'node:fs';
import { open } from 'node:fs/promises';
import { pipeline } from 'node:stream/promises';

/** SHA-256 (lower-case hex) of a file's content; undefined where it cannot be read, or is a link or a pipe. */
export async function digestOfFile(file: string): Promise<string | undefined> {
  const flags = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK;
  const handle = await open(file, flags).catch(() => undefined);
  if (handle === undefined) return undefined;
  const hash = createHash('sha256');
  return pipeline(handle.createReadStream({ highWaterMark: 2 ** 20 }), hash).then(
    () => hash.digest('hex'),
    () => undefined,
  );
}
