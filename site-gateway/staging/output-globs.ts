import type { Dirent } from 'node:fs';
import { readdir, realpath } from 'node:fs/promises';
import { basename, dirname, join, posix } from 'node:path';
import { compileGlob, type Glob } from '../../core/data/glob.ts';
import { GridError } from '../../core/errors.ts';
import { errnoOf, readFailure } from '../../service/staging/file-errors.ts';
import { openFolderWithin } from './open-within.ts';

/** What the output globs of a job found. */
export interface FoundOutputs {
  /** Files and links relative to the task's directory. */
  readonly files: readonly string[];
  /** The globs that found nothing. */
  readonly missing: readonly string[];
}

/** Others of the gateway's work come in between. */
const TURN_MS = 20;

/**
 * Looks for outputs; a folder stands for all in it. Links are found and not followed; names with a leading dot are found
 * only by a pattern that has the dot. What was staged in is no output, unless it is named without a wildcard. Throws
 * FILE_UNREADABLE for a folder that may not be read, and in which an output may be, and PATH_REFUSED for a name that no tree can
 * have.
 */
export async function findOutputs(
  work: string,
  globs: readonly string[],
  inputs: ReadonlySet<string>,
): Promise<FoundOutputs> {
  if (globs.length === 0) return { files: [], missing: [] };
  // A task may put a link in the place of its own directory, too.
  const root = join(await realpath(dirname(work)), basename(work));
  const patterns = globs.map((glob) => ({ glob, pattern: globOf(glob) }));
  const isWanted = (folder: string): boolean =>
    folder !== '.grid' && patterns.some(({ pattern }) => pattern.reaches(folder));
  const there = await filesBelow(root, '', isWanted);
  const files = new Set<string>();
  const missing: string[] = [];
  let sinceMs = performance.now();
  for (const { glob, pattern } of patterns) {
    let isFound = false;
    for (const path of there) {
      if (pattern.matches(path) && (pattern.isLiteral || !inputs.has(path))) {
        // Node shows bytes that are no UTF-8 so, and finds nothing by such a name.
        if (path.includes('\uFFFD')) throw notUtf8(path);
        isFound = true;
        files.add(path);
      }
      if (performance.now() - sinceMs < TURN_MS) continue;
      await new Promise(setImmediate);
      sinceMs = performance.now();
    }
    if (!isFound) missing.push(glob);
  }
  return { files: [...files], missing };
}

const notUtf8 = (path: string): GridError =>
  new GridError('PATH_REFUSED', `path ${JSON.stringify(path)} has a name that is not UTF-8`);

function globOf(text: string): Glob {
  const path = posix.normalize(text).replace(/\/$/, '');
  return compileGlob(path === '.' ? '**' : path);
}

/**
 * All that is no folder, relative to `root`, which has no links, in the folders that are wanted; those that a running task takes
 * away meanwhile are empty. Throws FILE_UNREADABLE.
 */
async function filesBelow(
  root: string,
  folder: string,
  isWanted: (folder: string) => boolean,
): Promise<readonly string[]> {
  const files: string[] = [];
  for (const entry of await entriesOf(root, folder)) {
    const path = folder === '' ? entry.name : `${folder}/${entry.name}`;
    if (!entry.isDirectory()) files.push(path);
    else if (isWanted(path))
      for (const below of await filesBelow(root, path, isWanted)) files.push(below);
  }
  return files;
}

/** What the name of a folder leads to may be another thing by now, which may be nobody's but ours. */
async function entriesOf(root: string, folder: string): Promise<readonly Dirent[]> {
  try {
    await using held = await openFolderWithin(root, join(root, folder));
    return held === undefined ? [] : await readdir(held.at, { withFileTypes: true });
  } catch (error) {
    if (['ENOENT', 'ENOTDIR'].includes(errnoOf(error))) return [];
    throw readFailure(folder === '' ? '.' : folder, error);
  }
}
