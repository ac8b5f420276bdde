import { constants } from 'node:fs';
import { type FileHandle, open, readlink, realpath } from 'node:fs/promises';
import { join } from 'node:path';
import { isWithin } from '../../core/data/paths.ts';
import { GridError } from '../../core/errors.ts';
import { O_PATH } from '../../service/staging/anchors.ts';

const ABSENT: ReadonlySet<string> = new Set(['ENOENT', 'ENOTDIR']);

/**
 * Opens a regular file below `directory` for reading, whatever links a task makes there meanwhile; undefined where there is
 * none. Throws PATH_REFUSED for what lies elsewhere, is no file, or may not be read.
 */
export async function openWithin(directory: string, path: string): Promise<FileHandle | undefined> {
  const refused = (why: string, cause?: unknown): GridError =>
    new GridError('PATH_REFUSED', `'${path}' ${why}`, { cause });
  try {
    const base = await realpath(directory);
    // Looked at before, because opening a device may do something, and after, because a link may have changed.
    if (!isWithin(await realpath(join(base, path)), base))
      throw refused('leads out of the directory');
    const handle = await open(join(base, path), constants.O_RDONLY | constants.O_NONBLOCK);
    const isInside = isWithin(await readlink(`/proc/self/fd/${handle.fd}`), base);
    if (isInside && (await handle.stat()).isFile()) return handle;
    await handle.close();
    throw refused(isInside ? 'is no file' : 'leads out of the directory');
  } catch (error) {
    if (error instanceof GridError) throw error;
    const code = error instanceof Error && 'code' in error ? String(error.code) : '';
    if (ABSENT.has(code)) return undefined;
    throw refused(`cannot be read: ${code}`, error);
  }
}

/**
 * Holds a folder open that lies within `base`, a path without links: `at` leads to it, whatever is put in its place
 * meanwhile. Undefined where it lies elsewhere. Throws what `open` throws.
 */
export async function openFolderWithin(
  base: string,
  folder: string,
): Promise<(AsyncDisposable & { readonly at: string }) | undefined> {
  const handle = await open(folder, O_PATH | constants.O_DIRECTORY);
  const at = `/proc/self/fd/${handle.fd}`;
  if (isWithin(await readlink(at), base))
    return { at, [Symbol.asyncDispose]: () => handle.close() };
  await handle.close();
  return undefined;
}
