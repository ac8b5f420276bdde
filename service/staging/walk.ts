import { lstatSync, readdirSync, readlinkSync, realpathSync, type Stats } from 'node:fs';
import { basename, dirname, isAbsolute, join, relative } from 'node:path';
import type { ManifestEntry } from '../../core/data/manifest.ts';
import { checkCount } from '../../core/data/manifest-index.ts';
import { byPath, linkProblem, pathProblem } from '../../core/data/paths.ts';
import { GridError } from '../../core/errors.ts';
import { readFailure } from './file-errors.ts';
import { type HeldFolder, holdFolder, rootWithoutLinks } from './held-folder.ts';

/** Something on disk that goes into a tree; a file without its content yet. */
export type Found = Extract<ManifestEntry, { readonly kind: 'directory' | 'link' }> | FoundFile;

export interface FoundFile {
  readonly kind: 'file';
  readonly path: string;
  readonly mode: number;
  readonly sizeBytes: number;
  /** When it was last written; another value after reading means that somebody wrote in between. */
  readonly mtimeMs: number;
  /** Where it lies below the root, or, absolute and without links, elsewhere, if its place in the tree is another. */
  readonly from?: string;
  /** It is being written: what is there up to `sizeBytes` is read, whatever is written meanwhile. */
  readonly isGrowing?: true;
  /** When its content, name, owner or mode last changed. */
  readonly ctimeMs: number;
  readonly inode: number;
}

/** Entries between two pauses. */
const PAUSE_EVERY = 256;

/**
 * Everything at and below `paths` (relative to `root`, `.` is all of it), by path. Nothing outside `root` is looked at: a link
 * that leads out, a path through a link, a device, socket or pipe, or a name that no tree can have is PATH_REFUSED by name; more than a tree may have is TREE_TOO_LARGE.
 * A caller that must not be held up by a large tree does something else at each pause.
 */
export function* walk(
  root: string,
  paths: readonly string[],
): Generator<undefined, readonly Found[], undefined> {
  const found = new Map<string, Found>();
  const realRoot = reading(root, () => rootWithoutLinks(root));
  for (const path of paths) {
    if (path === '.') {
      yield* walkFolder(realRoot, '', found);
    } else {
      refuse(path, pathProblem(path));
      refuseLinkedParents(realRoot, path);
      using folder = holdFolder(realRoot, parentOf(path));
      const isFolder = look({ root: realRoot, folder, path, name: basename(path) }, found);
      if (isFolder) yield* walkFolder(realRoot, path, found);
    }
  }
  return [...found.values()].toSorted(byPath);
}

interface Place {
  readonly root: string;
  readonly folder: HeldFolder;
  readonly path: string;
  /** The last part of `path`. */
  readonly name: string;
}

/** Notes what is at a place; whether that is a folder which has not been looked at yet. */
function look({ root, folder, path, name }: Place, found: Map<string, Found>): boolean {
  if (found.has(path)) return false;
  const at = `${folder.at}/${name}`;
  const stats = reading(path, () => lstatSync(at));
  if (stats.isFile()) {
    found.set(path, fileOf(path, stats));
  } else if (stats.isDirectory()) {
    found.set(path, { kind: 'directory', path, mode: modeOf(stats) });
  } else if (stats.isSymbolicLink()) {
    const target = reading(path, () => readlinkSync(at));
    found.set(path, { kind: 'link', path, target: linkTarget(root, path, target) });
  } else {
    refuse(path, 'is a device, socket or pipe');
  }
  return stats.isDirectory();
}

export const modeOf = (stats: Stats): number => stats.mode & 0o777;

/** A regular file with its place in the tree. */
export function fileOf(path: string, stats: Stats): FoundFile {
  const { size: sizeBytes, mtimeMs, ctimeMs, ino: inode } = stats;
  return { kind: 'file', path, mode: modeOf(stats), sizeBytes, mtimeMs, ctimeMs, inode };
}

function* walkFolder(
  root: string,
  path: string,
  found: Map<string, Found>,
): Generator<undefined, void> {
  const folders: string[] = [];
  {
    using folder = holdFolder(root, path);
    for (const name of reading(path || root, () => readdirSync(folder.at))) {
      const entry = path === '' ? name : `${path}/${name}`;
      // Node shows bytes that are no UTF-8 as U+FFFD, and the file could not be opened by that name.
      refuse(entry, name.includes('\uFFFD') ? 'has a name that is not UTF-8' : pathProblem(entry));
      if (look({ root, folder, path: entry, name }, found)) folders.push(entry);
      if (found.size % PAUSE_EVERY === 0) {
        checkCount(found.size);
        yield;
      }
    }
  }
  for (const entry of folders) yield* walkFolder(root, entry, found);
}

const parentOf = (path: string): string => path.slice(0, Math.max(0, path.lastIndexOf('/')));

/** `path` is normal: nothing of it needs to be resolved. */
const below = (root: string, path: string): string => (path === '' ? root : `${root}/${path}`);

/** What the link says, if that cannot lead out of the tree; else the same place said so that it cannot. */
function linkTarget(root: string, path: string, target: string): string {
  if (linkProblem(path, target) === undefined) return target;
  const folder = join(root, dirname(path));
  const place = realPlace(join(root, path));
  const inside = place === undefined ? '..' : relative(root, place);
  const normal = place === undefined ? '..' : relative(folder, place);
  const leaves = inside === '..' || inside.startsWith('../') || isAbsolute(inside);
  if (leaves || normal === '' || linkProblem(path, normal) !== undefined) {
    refuse(path, `is a link to '${target}', outside the directory: name the file itself`);
  }
  return normal;
}

function realPlace(path: string): string | undefined {
  try {
    return realpathSync.native(path);
  } catch {
    return undefined;
  }
}

function refuseLinkedParents(root: string, path: string): void {
  for (let end = path.indexOf('/'); end !== -1; end = path.indexOf('/', end + 1)) {
    const parent = path.slice(0, end);
    if (statOf(root, parent).isSymbolicLink()) refuse(path, `goes through the link '${parent}'`);
  }
}

const statOf = (root: string, path: string): Stats =>
  reading(path, () => lstatSync(below(root, path)));

export function reading<T>(path: string, read: () => T): T {
  try {
    return read();
  } catch (error) {
    throw readFailure(path, error);
  }
}

export function refuse(path: string, problem: string | undefined): void {
  if (problem === undefined) return;
  throw new GridError('PATH_REFUSED', `path ${JSON.stringify(path)} ${problem}`);
}
