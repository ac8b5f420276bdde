import { readdir, rename } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { ensureDirectory } from '../../../service/directories.ts';
import type { Log } from '../../../service/log.ts';
import { errnoOf } from '../../../service/staging/file-errors.ts';
import { removeTree, tryRemoveTree } from '../../attempts/attempt-directory.ts';

/**
 * Gives what removes a directory by way of `folder`, on the same file system: it is there as a whole, or not at all, whatever
 * the order in which its files go. What an earlier run left in `folder` is removed.
 */
export async function openRemoval(
  folder: string,
  log: Log,
): Promise<(directory: string) => Promise<void>> {
  ensureDirectory(folder, 0o700);
  for (const name of await readdir(folder)) await tryRemoveTree(join(folder, name), log);
  return async (directory) => {
    const gone = join(folder, basename(directory));
    const failed = await rename(directory, gone).then(() => '', errnoOf);
    if (failed !== '' && failed !== 'ENOENT') await rename(directory, gone);
    await removeTree(gone);
  };
}
