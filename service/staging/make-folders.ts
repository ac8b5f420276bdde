import { mkdir, rmdir, stat } from 'node:fs/promises';
import { dirname } from 'node:path';
import { errnoOf } from './file-errors.ts';

/**
 * Makes a folder, and those above it that are not there; gives those that it made, the folder itself last. Node's own recursive mkdir
 * never ends where the kernel takes no folder into one that is there, as in /proc. Throws what mkdir throws.
 */
export async function makeFolders(path: string): Promise<readonly string[]> {
  const parent = dirname(path);
  try {
    return await makeFolder(path);
  } catch (error) {
    if (errnoOf(error) !== 'ENOENT' || parent === path) throw error;
  }
  const above = await makeFolders(parent);
  return [...above, ...(await makeFolder(path))];
}

async function makeFolder(path: string): Promise<readonly string[]> {
  try {
    await mkdir(path);
    return [path];
  } catch (error) {
    const stats = await stat(path).catch(() => undefined);
    if (stats?.isDirectory() === true) return [];
    throw error;
  }
}

/** Removes those of some folders that have nothing in them, the last one first. */
export async function removeEmpty(folders: readonly string[]): Promise<void> {
  for (const folder of folders.toReversed()) await rmdir(folder).catch(() => undefined);
}
