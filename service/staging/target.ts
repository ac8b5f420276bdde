import { randomUUID } from 'node:crypto';
import { chmod, lstat, mkdir, readlink, rename, rm, symlink } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';
import { safePath } from '../../core/data/paths.ts';
import type { FileEntry } from '../../core/data/select.ts';
import { GridError } from '../../core/errors.ts';
import type { Landing } from './disk/disk-jobs.ts';
import { digestOfFile } from './file-digest.ts';
import { errnoOf, writeFailure } from './file-errors.ts';

/** A directory into which a tree is written, and nothing outside of it. */
export interface Target {
  /** Makes a folder and those above it; throws PATH_REFUSED where one of them is a link. */
  makeFolder(path: string): Promise<void>;
  /** Whether the file is there with its content; its mode is then mended. Nothing is looked for in a folder made here. */
  hasFile(file: FileEntry): Promise<boolean>;
  /** A name beside `path` that does not exist. */
  partialOf(path: string): string;
  /** Puts what `partial` names in the place of `path`. */
  accept(partial: string, path: string): Promise<void>;
  /** The same, for whoever writes the file. */
  landingOf(path: string): Landing;
  makeLink(path: string, target: string): Promise<void>;
  setMode(path: string, mode: number): Promise<void>;
}

/** Makes `root` if it is not there. Nobody else may write below it meanwhile. */
export async function openTarget(root: string): Promise<Target> {
  const base = resolve(root);
  const at = (path: string): string => `${base}/${safePath(path)}`;
  const made = await mkdir(root, { recursive: true }).catch((error: unknown) => {
    throw writeFailure(root, error);
  });
  /** Every folder that is known to be one, and whether it was made here, empty. */
  const folders = new Map<string, boolean>([['.', made !== undefined]]);
  const isFresh = (path: string): boolean => folders.get(dirname(path)) === true;
  const makeFolder = async (path: string): Promise<void> => {
    if (folders.has(path)) return;
    await makeFolder(dirname(path));
    folders.set(path, await ensureFolder(at(path), path));
  };
  const name = randomUUID();
  let partials = 0;
  const partialOf = (path: string): string => {
    partials += 1;
    return `${dirname(at(path))}/.grid-${name}-${partials}.part`;
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
  return {
    makeFolder,
    accept,
    landingOf: (path) => ({ to: at(path), mayBeThere: !isFresh(path) }),
    partialOf,
    hasFile: async (file) => {
      if (isFresh(file.path)) return false;
      const place = at(file.path);
      const stats = await lstat(place).catch(() => undefined);
      if (stats?.isFile() !== true || stats.size !== file.sizeBytes) return false;
      if ((await digestOfFile(place)) !== file.digest) return false;
      const shared = stats.nlink > 1;
      if (!shared && (stats.mode & 0o777) !== file.mode) await chmod(place, file.mode);
      return true;
    },
    makeLink: async (path, target) => {
      if ((await readlink(at(path)).catch(() => undefined)) === target) return;
      const partial = partialOf(path);
      await symlink(target, partial).catch((error: unknown) => {
        throw writeFailure(path, error);
      });
      await accept(partial, path);
    },
    setMode: (path, mode) => chmod(at(path), mode),
  };
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
