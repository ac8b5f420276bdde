import { constants } from 'node:fs';
import { type FileHandle, mkdir, open } from 'node:fs/promises';
import { GridError } from '../../core/errors.ts';
import { errnoOf, writeFailure } from './file-errors.ts';

/** Linux's O_PATH, which Node does not name: a folder can be held without a right to list it. */
export const O_PATH = 0o10000000;
const HELD = O_PATH | constants.O_DIRECTORY;

/**
 * Folders that are held open. Others may write where they are: whatever somebody puts in the place of a folder meanwhile, what is
 * written by the held name goes into the folder that was entered. Takes one descriptor for each folder; Linux only.
 */
export interface Anchors {
  /** A name of a folder that was entered. */
  readonly nameOf: (path: string) => string;
  /** Enters folder `name` of a folder that was entered, as `path`; whether it had to be made. Throws PATH_REFUSED for a link. */
  enter(parent: string, name: string, path: string): Promise<boolean>;
  readonly close: () => Promise<void>;
}

/** Anchored in `root`, which is there and is trusted; its path is `at`. */
export async function openAnchors(root: string, at: string): Promise<Anchors> {
  const first = await open(root, HELD).catch((error: unknown) => {
    throw writeFailure(root, error);
  });
  const held = new Map<string, FileHandle>([[at, first]]);
  const nameOf = (path: string): string => {
    const handle = held.get(path);
    if (handle === undefined) throw new Error(`folder '${path}' was not entered`);
    return `/proc/self/fd/${handle.fd}`;
  };
  return {
    nameOf,
    enter: async (parent, name, path) => {
      const place = `${nameOf(parent)}/${name}`;
      const failed = await mkdir(place).then(() => '', errnoOf);
      const handle = await open(place, HELD | constants.O_NOFOLLOW).catch((error: unknown) => {
        if (!['ENOTDIR', 'ELOOP'].includes(errnoOf(error))) throw writeFailure(path, error);
        throw new GridError(
          'PATH_REFUSED',
          `'${path}' must be a directory, and something else is there`,
        );
      });
      held.set(path, handle);
      return failed === '';
    },
    close: async () => {
      await Promise.all([...held.values()].map((handle) => handle.close()));
      held.clear();
    },
  };
}
