import { randomUUID } from 'node:crypto';
import { mkdirSync } from 'node:fs';
import {
  chmod,
  lstat,
  mkdir,
  readdir,
  readlink,
  rename,
  rm,
  stat,
  symlink,
} from 'node:fs/promises';
import { basename, dirname, relative, resolve } from 'node:path';
import { safePath } from '../../core/data/paths.ts';
import type { FileEntry } from '../../core/data/select.ts';
import { GridError } from '../../core/errors.ts';
import { openAnchors } from './anchors.ts';
import type { Landing } from './disk/disk-jobs.ts';
import { digestOf, openAsItIs, type Reading, stampOf } from './file-digest.ts';
import { errnoOf, writeFailure } from './file-errors.ts';
import { halfNamesOf, removeHalf } from './half-files.ts';
import { type HiddenFolder, makeHiddenFolder } from './hidden-folder.ts';
import { makeFolders, removeEmpty } from './make-folders.ts';
import { OF_PROCESSES, type RemnantNames } from './remnants.ts';
import { modeOf } from './walk.ts';

/** A directory into which a tree is written, and nothing outside of it. */
export interface Target {
  /** A name of the directory that leads to it whatever is put in its place. */
  readonly root: string;
  /** What the name of a directory in it in which names are tried out begins with; undefined where nobody else may write. */
  readonly probe: string | undefined;
  /** How half files of several chunks are named. */
  readonly large: RemnantNames;
  /** Makes a folder and those above it; throws PATH_REFUSED where one of them is a link. */
  makeFolder(path: string): Promise<void>;
  /** Whether it was made here, so that nothing can be in it. */
  readonly isFresh: boolean;
  /**
   * Whether the file is there with its content; its mode is then mended. It is not read where it has the stamp that is known
   * of it. Nothing is looked for in a folder made here.
   */
  hasFile(file: FileEntry, known?: KnownFile): Promise<boolean>;
  /** A name beside `path` that does not exist. */
  partialOf(path: string): string;
  /** Puts what `partial` names in the place of `path`. */
  accept(partial: string, path: string): Promise<void>;
  /** The same, for whoever writes the file. */
  landingOf(path: string): Landing;
  /** Where a file is written, and lands if it is not written in its place. */
  writingOf(path: string): Writing;
  makeLink(path: string, target: string): Promise<void>;
  /** Lets its owner write in a folder that was there, where that is not so. */
  unlock(path: string): Promise<void>;
  /** Of a folder that was made, or was there. */
  setMode(path: string, mode: number): Promise<void>;
  /** Removes the folders that were made here, those above the root, too, and have nothing in them. */
  removeMade(): Promise<void>;
  close(): Promise<void>;
}

/** What is known of a file that may be right already. */
interface KnownFile extends Reading {
  readonly stamp?: string | undefined;
}

/** A file that does not exist; without a landing nobody sees it before it is whole. */
interface Writing {
  readonly partial: string;
  readonly landing?: Landing;
}

/** How a target is written where others may write at the same time, and where nobody else clears up after a crash. */
export interface SharedPlace {
  /** The directory that was opened to the grid: the target or one above it. Nothing is written outside of it. */
  readonly within: string;
  /** The same at each try of one transfer: half files of an earlier try are removed, or gone on with. */
  readonly transfer: string;
  /** Whether there will be another try; asked when this one is cut off. */
  readonly isTriedAgain?: () => boolean;
}

interface TargetOptions {
  readonly shared?: SharedPlace | undefined;
  /** Files of which half is left for this try. */
  readonly large?: readonly Pick<FileEntry, 'digest'>[];
  /** A root that is not there appears with all that is in it when the target is closed. For what is soon written again. */
  readonly isSmall?: boolean;
}

/** Makes `root` if it is not there. Without `shared` nobody else may write below it meanwhile. */
export async function openTarget(
  root: string,
  { shared, large = [], isSmall = false }: TargetOptions = {},
): Promise<Target> {
  if (shared !== undefined) return sharedTarget(root, shared, large);
  const hidden = isSmall ? await makeHiddenFolder(root) : undefined;
  const places = hidden === undefined ? await plainPlaces(root) : hiddenPlaces(hidden);
  return { ...targetIn(places, randomUUID()), large: OF_PROCESSES, probe: undefined };
}

async function sharedTarget(
  root: string,
  shared: SharedPlace,
  large: readonly Pick<FileEntry, 'digest'>[],
): Promise<Target> {
  const names = halfNamesOf(shared.transfer);
  const isKept = (name: string): boolean => large.some((file) => names.large.isOf(file, name));
  const places = await anchoredPlaces(
    root,
    shared.within,
    (name) => names.has(name) && !isKept(name),
  );
  const { large: named, probe } = names;
  return { ...targetIn(places, shared.transfer), large: named, probe };
}

/** `transfer` names half files. */
function targetIn(places: Places, transfer: string): Omit<Target, 'large' | 'probe'> {
  const { folderAt } = places;
  const at = (path: string): string => places.fileAt(safePath(path));
  /** Every folder that is known to be one, and whether it was made here, empty. */
  const folders = new Map<string, boolean>([['.', places.isFresh]]);
  const isFresh = (path: string): boolean => folders.get(dirname(path)) === true;
  const makeFolder = async (path: string): Promise<void> => {
    if (folders.has(path)) return;
    await makeFolder(dirname(path));
    folders.set(path, await places.ensure(path));
  };
  const half = halfNamesOf(transfer);
  let partials = 0;
  const partialOf = (path: string): string => {
    partials += 1;
    return `${folderAt(dirname(safePath(path)))}/${half.file(partials)}`;
  };
  const accept: Target['accept'] = async (partial, path) => {
    try {
      await rename(partial, at(path));
      // Renaming one hard link onto another of the same file leaves both.
      if (!isFresh(path)) await rm(partial, { force: true });
    } catch (error) {
      await rm(partial, { force: true });
      throw writeFailure(path, error);
    }
  };
  const landingOf: Target['landingOf'] = (path) => ({ to: at(path), mayBeThere: !isFresh(path) });
  return {
    root: folderAt('.'),
    isFresh: places.isFresh,
    makeFolder,
    accept,
    landingOf,
    partialOf,
    writingOf: (path) =>
      places.isHidden
        ? { partial: at(path) }
        : { partial: partialOf(path), landing: landingOf(path) },
    hasFile: async (file, known = {}) =>
      !isFresh(file.path) && (await isThere(at(file.path), file, known)),
    makeLink: async (path, target) => {
      if ((await readlink(at(path)).catch(() => undefined)) === target) return;
      const partial = partialOf(path);
      await symlink(target, partial).catch((error: unknown) => {
        throw writeFailure(path, error);
      });
      await accept(partial, path);
    },
    unlock: async (path) => {
      if (folders.get(path) === false) await letOwnerWrite(folderAt(path));
    },
    setMode: (path, mode) => setMode(folderAt(path), mode, path),
    removeMade: async () => {
      const made = [...folders].filter(([path, isMade]) => isMade && path !== '.');
      await removeEmpty([...places.made, ...made.map(([path]) => places.fileAt(path))]);
    },
    close: places.close,
  };
}

/** Folders below a root, '.', and how they are made. */
interface Places {
  readonly isFresh: boolean;
  /** The root and those above it, as far as they were made here, the root last. */
  readonly made: readonly string[];
  /** Nobody sees what is in them before they are closed. */
  readonly isHidden: boolean;
  readonly folderAt: (path: string) => string;
  readonly fileAt: (path: string) => string;
  /** Whether the folder had to be made; the one above it is there. */
  ensure(path: string): Promise<boolean>;
  readonly close: () => Promise<void>;
}

async function plainPlaces(root: string): Promise<Places> {
  const base = resolve(root);
  const made = await makeFolders(base).catch((error: unknown) => {
    throw writeFailure(root, error);
  });
  const close = () => Promise.resolve();
  return { ...placesBelow(base), isFresh: made.length > 0, made, isHidden: false, close };
}

function hiddenPlaces({ path, made, show }: HiddenFolder): Places {
  const below = placesBelow(path);
  return {
    ...below,
    isFresh: true,
    made,
    isHidden: true,
    ensure: async (folder) => {
      try {
        // Nobody else is there who could be in the way.
        mkdirSync(below.folderAt(folder));
        return true;
      } catch {
        return below.ensure(folder);
      }
    },
    close: show,
  };
}

function placesBelow(base: string): Pick<Places, 'folderAt' | 'fileAt' | 'ensure'> {
  const folderAt = (path: string): string => (path === '.' ? base : `${base}/${path}`);
  return {
    folderAt,
    fileAt: (path) => `${base}/${path}`,
    ensure: (path) => ensureFolder(folderAt(path), path),
  };
}

/** Removes what is called by a name that `goes`. */
async function anchoredPlaces(
  root: string,
  within: string,
  goes: (name: string) => boolean,
): Promise<Places> {
  const names = relative(within, root).split('/').filter(Boolean);
  // Above the root, paths are `//` (where the anchor is), `//a`, `//a/b`: none of them is one of the tree.
  const above = names.map((_, index) => `//${names.slice(0, index).join('/')}`);
  const before = await makeFolders(resolve(within)).catch((error: unknown) => {
    throw writeFailure(within, error);
  });
  const made = [...before];
  const anchors = await openAnchors(within, above[0] ?? '.');
  const enter = async (parent: string, name: string, path: string): Promise<boolean> => {
    const isNew = await anchors.enter(parent, name, path);
    if (!isNew) await clearHalfFiles(anchors.nameOf(path), goes);
    return isNew;
  };
  try {
    let isFresh = false;
    for (const [index, name] of names.entries()) {
      const parent = above[index] ?? '.';
      isFresh = await enter(parent, name, above[index + 1] ?? '.');
      if (isFresh) made.push(`${anchors.nameOf(parent)}/${name}`);
    }
    if (names.length === 0) await clearHalfFiles(anchors.nameOf('.'), goes);
    return {
      isFresh,
      made,
      isHidden: false,
      folderAt: anchors.nameOf,
      fileAt: (path) => `${anchors.nameOf(dirname(path))}/${basename(path)}`,
      ensure: (path) => enter(dirname(path), basename(path), path),
      close: anchors.close,
    };
  } catch (error) {
    await anchors.close();
    throw error;
  }
}

async function clearHalfFiles(folder: string, goes: (name: string) => boolean): Promise<void> {
  // A folder that may be written but not listed keeps what is there.
  for (const name of await readdir(folder).catch(() => []))
    if (goes(name)) await removeHalf(`${folder}/${name}`);
}

/** Looks at one file, and mends the mode of that, whatever is put in its place meanwhile. */
async function isThere(
  place: string,
  { sizeBytes, digest, mode }: FileEntry,
  { stamp, ...reading }: KnownFile,
): Promise<boolean> {
  const seen = await lstat(place).catch(() => undefined);
  if (seen?.isFile() !== true || seen.size !== sizeBytes) return false;
  const handle = await openAsItIs(place).catch(() => undefined);
  if (handle === undefined) return false;
  await using file = handle;
  const stats = await file.stat({ bigint: true });
  if (!stats.isFile()) return false;
  if (stampOf(stats) !== stamp && (await digestOf(file, reading)) !== digest) return false;
  const isShared = stats.nlink > 1n;
  if (isShared || Number(stats.mode & 0o777n) === mode) return true;
  // What is somebody else's is replaced by one's own.
  try {
    await file.chmod(mode);
    return true;
  } catch {
    return false;
  }
}

const modeAt = async (folder: string): Promise<number> => modeOf(await stat(folder));

async function letOwnerWrite(folder: string): Promise<void> {
  const mode = await modeAt(folder);
  // Of somebody else's folder the files that cannot be written in it tell.
  if ((mode & 0o700) !== 0o700) await chmod(folder, mode | 0o700).catch(() => undefined);
}

async function setMode(folder: string, mode: number, path: string): Promise<void> {
  if ((await modeAt(folder)) === mode) return;
  await chmod(folder, mode).catch((error: unknown) => {
    throw modeFailure(path, mode, error);
  });
}

function modeFailure(path: string, mode: number, error: unknown): unknown {
  if (errnoOf(error) !== 'EPERM') return writeFailure(path, error);
  const why = `folder '${path}' is somebody else's: it cannot be given the mode ${mode.toString(8)}`;
  return new GridError('FILE_UNWRITABLE', why, { cause: error });
}

/** Whether it had to be made. */
async function ensureFolder(place: string, path: string): Promise<boolean> {
  const failed = await mkdir(place).then(() => '', errnoOf);
  if (failed === '') return true;
  const stats = await lstat(place).catch((error: unknown) => {
    throw writeFailure(path, error);
  });
  if (stats.isDirectory()) return false;
  throw new GridError('PATH_REFUSED', `'${path}' must be a directory, and something else is there`);
}
