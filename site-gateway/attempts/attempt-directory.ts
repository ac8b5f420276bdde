import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { ensureDirectory } from '../../service/directories.ts';
import type { Log } from '../../service/log.ts';
import { removeTree as removeFolders } from '../../service/remove-tree.ts';
import { isHandedOver } from '../accounts/hand-over.ts';

/** Everything of an attempt is below this directory. */
export const attemptDirectory = (spool: string, id: string): string => join(spool, 'attempts', id);

/** Makes an attempt's directory with `work/` and `tmp/`; `again` first removes what an earlier run made there. */
export async function makeDirectory(directory: string, again: boolean): Promise<void> {
  if (again) await removeTree(directory);
  for (const name of ['work', 'tmp']) ensureDirectory(join(directory, name));
}

/**
 * Removes a directory with all that is in it, also below directories that a task has made read-only. `attempt` is the attempt's own,
 * where that is another one.
 */
export async function removeTree(directory: string, attempt = directory): Promise<void> {
  if (isHandedOver(attempt)) {
    // The account may still move its folders about; unlike Node's, this one never goes where a name then leads.
    await promisify(execFile)('rm', ['-rf', '--one-file-system', '--', directory]);
    return;
  }
  await removeFolders(directory);
}

/** The same, as far as it goes: gives whether all is gone, and logs why not. */
export async function tryRemoveTree(directory: string, log: Log): Promise<boolean> {
  try {
    await removeTree(directory);
    return true;
  } catch (error) {
    log.warn({ err: error, directory }, 'directory could not be removed');
    return false;
  }
}
