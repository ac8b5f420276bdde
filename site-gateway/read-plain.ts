import { constants } from 'node:fs';
import { open, opendir } from 'node:fs/promises';

export interface PlainOptions {
  /** Bytes of its end that are read at most. */
  readonly most: number;
  /** Accounts whose files are believed; all where they are left out. */
  readonly uids?: readonly number[] | undefined;
}

/** Follows no link, and waits neither for the other end of a pipe nor for somebody's lease on the file. */
const FLAGS = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK;

/** Nothing is there, or something that is no file: a link, a socket, a folder; or its owner has shut it. */
const NO_FILE: readonly unknown[] = ['ENOENT', 'ELOOP', 'ENXIO', 'EISDIR', 'ENOTDIR', 'EAGAIN'];

/**
 * The text of a file that somebody else may have made, whatever stands there in its place; undefined where it is no plain
 * file of these accounts. The folders on the way to it must be the gateway's own.
 */
export async function readPlain(
  file: string,
  { most, uids }: PlainOptions,
): Promise<string | undefined> {
  try {
    await using handle = await open(file, FLAGS);
    const stats = await handle.stat();
    if (!stats.isFile() || uids?.includes(stats.uid) === false) return undefined;
    const length = Math.min(stats.size, most);
    const buffer = Buffer.alloc(length);
    const { bytesRead } = await handle.read(buffer, 0, length, stats.size - length);
    return buffer.toString('utf8', 0, bytesRead);
  } catch (error) {
    if (error instanceof Error && 'code' in error && NO_FILE.includes(error.code)) return undefined;
    throw error;
  }
}

/**
 * The same of the files in such a folder, `names` of them at most, by their names; none where it is no folder of these
 * accounts.
 */
export async function readPlainFiles(
  folder: string,
  { names, ...options }: PlainOptions & { readonly names: number },
): Promise<ReadonlyMap<string, string>> {
  const texts = new Map<string, string>();
  try {
    await using handle = await open(folder, FLAGS | constants.O_DIRECTORY);
    if (options.uids?.includes((await handle.stat()).uid) === false) return texts;
    // It stays this folder, whatever its name comes to mean.
    const itself = `/proc/self/fd/${handle.fd}`;
    for await (const { name } of await opendir(itself)) {
      if (texts.size >= names) break;
      texts.set(name, (await readPlain(`${itself}/${name}`, options)) ?? '');
    }
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && NO_FILE.includes(error.code))) throw error;
  }
  return texts;
}
