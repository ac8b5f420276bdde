import { chmod, lstat, mkdir, readdir, rename } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { removeTree } from '../remove-tree.ts';
import { sha256 } from './chunk-store.ts';
import { errnoOf, writeFailure } from './file-errors.ts';
import { makeFolders } from './make-folders.ts';
import { isLeft, isRemnantOf, remnantOf } from './remnants.ts';

/**
 * A folder under a hidden name beside the one that is wanted, which is not there. What is made in it appears at once, with one
 * rename, instead of file by file.
 */
export interface HiddenFolder {
  readonly path: string;
  /** Those that were made for it, itself the last. */
  readonly made: readonly string[];
  /** Gives it its name. Where something has come there meanwhile, what it has goes into that, name by name. */
  readonly show: () => Promise<void>;
}

/**
 * Undefined where something is at `root` already. Removes what processes of this machine that are no more have left of it.
 * Throws FILE_UNWRITABLE.
 */
export async function makeHiddenFolder(root: string): Promise<HiddenFolder | undefined> {
  const wanted = resolve(root);
  const failed = await lstat(wanted).then(() => '', errnoOf);
  if (failed !== 'ENOENT') return undefined;
  const above = dirname(wanted);
  const mark = { digest: sha256(Buffer.from(wanted)) };
  const path = join(above, remnantOf(mark));
  let made: readonly string[];
  try {
    made = [...(await makeFolders(above)), path];
    await mkdir(path);
  } catch (error) {
    throw writeFailure(root, error);
  }
  for (const name of await leftIn(above))
    if (isRemnantOf(mark, name)) await removeTree(join(above, name)).catch(() => undefined);
  const mergeAfter = async (error: unknown): Promise<void> => {
    try {
      if (!IN_THE_WAY.has(errnoOf(error))) throw writeFailure(root, error);
      await merge(path, wanted, '');
    } finally {
      await removeTree(path).catch(() => undefined);
    }
  };
  return {
    path,
    made,
    show: async () => {
      try {
        await rename(path, wanted);
      } catch (error) {
        await mergeAfter(error);
      }
    },
  };
}

const LOOK_MS = 1_000;
let latest = { folder: '', atMs: 0, names: Promise.resolve<readonly string[]>([]) };

/** A folder to which many trees come at a time is looked at once a second. */
function leftIn(folder: string): Promise<readonly string[]> {
  const nowMs = performance.now();
  if (latest.folder !== folder || nowMs - latest.atMs >= LOOK_MS) {
    const names = readdir(folder).then(
      (all) => all.filter(isLeft),
      () => [],
    );
    latest = { folder, atMs: nowMs, names };
  }
  return latest.names;
}

const IN_THE_WAY: ReadonlySet<string> = new Set(['ENOTEMPTY', 'EEXIST']);

/** Moves what is in `from` into the folder `to`, which is there; follows no link. */
async function merge(from: string, to: string, path: string): Promise<void> {
  for (const entry of await readdir(from, { withFileTypes: true })) {
    const { name } = entry;
    const move = entry.isDirectory() ? moveFolder : rename;
    try {
      await move(join(from, name), join(to, name));
    } catch (error) {
      const isFull = entry.isDirectory() && IN_THE_WAY.has(errnoOf(error));
      if (!isFull) throw writeFailure(join(path, name), error);
      await merge(join(from, name), join(to, name), join(path, name));
    }
  }
}

/** One that may not be written cannot leave its folder: `..` in it would change. */
async function moveFolder(from: string, to: string): Promise<void> {
  const { mode } = await lstat(from);
  await chmod(from, 0o700);
  try {
    await rename(from, to);
  } catch (error) {
    await chmod(from, mode);
    throw error;
  }
  await chmod(to, mode);
}
