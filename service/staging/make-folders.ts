import { mkdir, stat } from 'node:fs/promises';
import { dirname } from 'node:path';
import { errnoOf } from './file-errors.ts';

/**
 * Makes a folder, and those above it that are not there; whether the folder itself had to be made. Node's own recursive mkdir
 * never ends where the kernel takes no folder into one that is there, as in /proc. Throws what mkdir throws.
 */
export async function makeFolders(path: string): Promise<boolean> {
  const parent = dirname(path);
  try {
    return await makeFolder(path);
  } catch (error) {
    if (errnoOf(error) !== 'ENOENT' || parent === path) throw error;
  }
  await makeFolders(parent);
  return makeFolder(path);
}

async function makeFolder(path: string): Promise<boolean> {
  try {
    await mkdir(path);
    return true;
  } catch (error) {
    const stats = await stat(path).catch(() => undefined);
    if (stats?.isDirectory() === true) return false;
    throw error;
  }
}
