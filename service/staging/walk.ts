import type { Stats } from 'node:fs';
import { lstat, readdir, readlink, realpath } from 'node:fs/promises';
import { dirname, isAbsolute, join, relative } from 'node:path';
import type { ManifestEntry } from '../../core/data/manifest.ts';
import { byPath, linkProblem, pathProblem } from '../../core/data/paths.ts';
import { GridError } from '../../core/errors.ts';
import { mapAtOnce } from './at-once.ts';
import { readFailure } from './file-errors.ts';

/** Something on disk that goes into a tree; a file without its content yet. */
export type Found = Extract<ManifestEntry, { readonly kind: 'directory' | 'link' }> | FoundFile;

export interface FoundFile {
  readonly kind: 'file';
  readonly path: string;
  readonly mode: number;
  readonly sizeBytes: number;
  /** When it was last written; another value after reading means that somebody wrote in between. */
  readonly mtimeMs: number;
  /** When its content, name, owner or mode last changed. */
  readonly ctimeMs: number;
  readonly inode: number;
}

const STATS_AT_ONCE = 32;

/**
 * Everything at and below `paths` (relative to `root`, `.` is all of it), by path. Nothing outside `root` is looked at: a link
 * that leads out, a path through a link, a device, socket or pipe, or a name that no tree can have is PATH_REFUSED by name.
 */
export async function walk(root: string, paths: readonly string[]): Promise<readonly Found[]> {
  const found = new Map<string, Found>();
  const realRoot = await realpath(root).catch((error: unknown) => {
    throw readFailure(root, error);
  });
  for (const path of paths) {
    if (path === '.') {
      await walkFolder(realRoot, '', found);
    } else {
      refuse(path, pathProblem(path));
      await refuseLinkedParents(realRoot, path);
      await visit(realRoot, path, found);
    }
  }
  return [...found.values()].toSorted(byPath);
}

async function visit(root: string, path: string, found: Map<string, Found>): Promise<void> {
  if (found.has(path)) return;
  const stats = await statOf(root, path);
  const mode = stats.mode & 0o777;
  if (stats.isFile()) {
    const { size: sizeBytes, mtimeMs, ctimeMs, ino: inode } = stats;
    found.set(path, { kind: 'file', path, mode, sizeBytes, mtimeMs, ctimeMs, inode });
  } else if (stats.isDirectory()) {
    found.set(path, { kind: 'directory', path, mode });
    await walkFolder(root, path, found);
  } else if (stats.isSymbolicLink()) {
    found.set(path, { kind: 'link', path, target: await linkTarget(root, path) });
  } else {
    refuse(path, 'is a device, socket or pipe');
  }
}

async function walkFolder(root: string, path: string, found: Map<string, Found>): Promise<void> {
  const names = await readdir(join(root, path)).catch((error: unknown) => {
    throw readFailure(path, error);
  });
  await mapAtOnce(STATS_AT_ONCE, names, (name) => {
    const below = path === '' ? name : `${path}/${name}`;
    // Node shows bytes that are no UTF-8 as U+FFFD, and the file could not be opened by that name.
    refuse(below, name.includes('\uFFFD') ? 'has a name that is not UTF-8' : pathProblem(below));
    return visit(root, below, found);
  });
}

/** What the link says, if that cannot lead out of the tree; else the same place said so that it cannot. */
async function linkTarget(root: string, path: string): Promise<string> {
  const target = await readlink(join(root, path)).catch((error: unknown) => {
    throw readFailure(path, error);
  });
  if (linkProblem(path, target) === undefined) return target;
  const folder = join(root, dirname(path));
  const place = await realpath(join(root, path)).catch(() => undefined);
  const inside = place === undefined ? '..' : relative(root, place);
  const normal = place === undefined ? '..' : relative(folder, place);
  const leaves = inside === '..' || inside.startsWith('../') || isAbsolute(inside);
  if (leaves || normal === '' || linkProblem(path, normal) !== undefined) {
    refuse(path, `is a link to '${target}', outside the directory: name the file itself`);
  }
  return normal;
}

async function refuseLinkedParents(root: string, path: string): Promise<void> {
  for (let end = path.indexOf('/'); end !== -1; end = path.indexOf('/', end + 1)) {
    const parent = path.slice(0, end);
    if ((await statOf(root, parent)).isSymbolicLink()) {
      refuse(path, `goes through the link '${parent}'`);
    }
  }
}

async function statOf(root: string, path: string): Promise<Stats> {
  try {
    return await lstat(join(root, path));
  } catch (error) {
    throw readFailure(path, error);
  }
}

function refuse(path: string, problem: string | undefined): void {
  if (problem === undefined) return;
  throw new GridError('PATH_REFUSED', `path ${JSON.stringify(path)} ${problem}`);
}
