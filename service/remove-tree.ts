import { execFile } from 'node:child_process';
import { chmod, lstat, readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';

/** Removes a directory with all that is in it, also below folders of ours that may not be written. Follows no link. */
export async function removeTree(directory: string): Promise<void> {
  try {
    await rm(directory, { recursive: true, force: true });
  } catch (error) {
    if (isCode(error, 'ENAMETOOLONG')) return removeDeep(directory);
    if (!isCode(error, 'EACCES')) throw error;
    await openUp(directory);
    await rm(directory, { recursive: true, force: true });
  }
}

/** Of which some are at longer paths than the system takes: `rm` goes from folder to folder. */
async function removeDeep(directory: string): Promise<void> {
  // It may be its own name that is too long.
  await lstat(directory);
  await promisify(execFile)('rm', ['-rf', '--one-file-system', '--', directory]);
}

/** The first try goes on in other folders after it has failed in one: what has gone meanwhile need not be opened. */
async function openUp(directory: string): Promise<void> {
  try {
    await chmod(directory, 0o700);
    for (const entry of await readdir(directory, { withFileTypes: true })) {
      // Links are not followed: what they point at is not ours to change.
      if (entry.isDirectory()) await openUp(join(directory, entry.name));
    }
  } catch (error) {
    if (!isCode(error, 'ENOENT')) throw error;
  }
}

const isCode = (error: unknown, code: string): boolean =>
  error instanceof Error && 'code' in error && error.code === code;
