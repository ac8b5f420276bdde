import { lstatSync, realpathSync } from 'node:fs';
import { byPath, pathProblem } from '../../core/data/paths.ts';
import { GridError } from '../../core/errors.ts';
import { type Found, fileOf, modeOf, reading, refuse, walk } from './walk.ts';

/** A file or directory that is not below the root: where it lies, absolute, and its place in the tree. */
export interface Outside {
  readonly at: string;
  readonly path: string;
}

/** What `walk` finds, and what lies outside the root, by path. Throws what `walk` throws. */
export function* walkAll(
  root: string,
  paths: readonly string[],
  outside: readonly Outside[],
): Generator<undefined, readonly Found[], undefined> {
  const found = new Map<string, Found>();
  for (const entry of yield* walk(root, paths)) found.set(entry.path, entry);
  for (const one of outside)
    for (const entry of yield* walkOutside(one)) found.set(entry.path, entry);
  return outside.length === 0 ? [...found.values()] : [...found.values()].toSorted(byPath);
}

/** Whoever named it meant what it leads to, so links on the way to it are followed; those in it may not lead out of it. */
function* walkOutside({ at, path }: Outside): Generator<undefined, readonly Found[], undefined> {
  refuse(at, pathProblem(path));
  const real = reading(at, () => realpathSync.native(at));
  const stats = reading(at, () => lstatSync(real));
  if (stats.isFile()) return [{ ...fileOf(path, stats), from: real }];
  if (!stats.isDirectory()) refuse(at, 'is a device, socket or pipe');
  const below = yield* naming(at, walk(real, ['.']));
  return [
    { kind: 'directory', path, mode: modeOf(stats) },
    ...below.map((entry): Found => {
      const moved = { ...entry, path: `${path}/${entry.path}` };
      return moved.kind === 'file' ? { ...moved, from: `${real}/${entry.path}` } : moved;
    }),
  ];
}

/** Says where it is that something in it was refused or cannot be read. */
function* naming<T>(
  at: string,
  steps: Generator<undefined, T, undefined>,
): Generator<undefined, T, undefined> {
  try {
    return yield* steps;
  } catch (error) {
    if (!(error instanceof GridError)) throw error;
    throw new GridError(error.code, `${error.message} (in '${at}')`, { cause: error });
  }
}
