import { closeSync, constants, openSync, readlinkSync, realpathSync } from 'node:fs';
import { join } from 'node:path';
import { GridError } from '../../core/errors.ts';
import { O_PATH } from './anchors.ts';
import { readFailure } from './file-errors.ts';

/** A folder that is held open: `at` leads to it, whatever is put in its place meanwhile. */
export interface HeldFolder extends Disposable {
  readonly at: string;
}

const FLAGS = O_PATH | constants.O_DIRECTORY | constants.O_NOFOLLOW;

/**
 * Holds the folder `path` ('' for the root itself) below a root without links. Throws FILE_CHANGED where a folder on the way has
 * become a link that leads elsewhere. Where there is no /proc nobody looks.
 */
export function holdFolder(root: string, path: string): HeldFolder {
  const place = join(root, path);
  if (process.platform !== 'linux') return { at: place, [Symbol.dispose]: () => undefined };
  const fd = open(place, path || root);
  const held = { at: `/proc/self/fd/${fd}`, [Symbol.dispose]: () => closeSync(fd) };
  if (readlinkSync(held.at) === place) return held;
  closeSync(fd);
  throw new GridError('FILE_CHANGED', `'${path || '.'}' was moved while it was read`);
}

const HELD = /^\/proc\/self\/fd\/\d+$/;

/**
 * Where a root lies, without links. Of one that is held open (`at`) the kernel says it: realpath would read that, and then look
 * at each part of it once more, whatever has been put there meanwhile.
 */
export const rootWithoutLinks = (root: string): string =>
  HELD.test(root) ? readlinkSync(root) : realpathSync.native(root);

function open(place: string, path: string): number {
  try {
    return openSync(place, FLAGS);
  } catch (error) {
    throw readFailure(path, error);
  }
}
