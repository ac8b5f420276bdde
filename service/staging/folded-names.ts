import { lstat, mkdir, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { foldedTwins, type Twins } from '../../core/data/folding.ts';
import type { Manifest } from '../../core/data/manifest.ts';
import { GridError } from '../../core/errors.ts';
import { sha256 } from './chunk-store.ts';
import { writeFailure } from './file-errors.ts';
import { removeHalf } from './half-files.ts';
import { isRemnantOf, remnantOf } from './remnants.ts';

/** Names in an error. */
const SHOWN = 20;

/**
 * Throws NAMES_COLLIDE where some of these absolute paths would be one file, because the file system there does not tell
 * their names apart. It is found out by trying, in a directory that is gone afterwards; without such names nothing is tried.
 */
export async function checkNames(paths: readonly string[]): Promise<void> {
  const twins = foldedTwins(paths);
  if (twins.length === 0) return;
  const probes = new Map<string, string>();
  const colliding: Twins[] = [];
  try {
    for (const pair of twins) {
      const near = await existing(dirname(pair.first));
      const probe = probes.get(near) ?? (await makeProbe(near));
      probes.set(near, probe);
      if (await areOne(probe, pair)) colliding.push(pair);
    }
  } finally {
    for (const probe of probes.values()) await rm(probe, { recursive: true, force: true });
  }
  if (colliding.length > 0) throw collision(colliding);
}

/** Paths of a tree that some file systems take for one. */
export const twinsIn = ({ entries }: Manifest): readonly Twins[] =>
  foldedTwins(entries.map(({ path }) => path));

/** Those of them that must not become one file. Two of one content may be one file anyway. */
export function riskyTwins(twins: readonly Twins[], { entries }: Manifest): readonly Twins[] {
  if (twins.length === 0) return [];
  const digests = new Map(
    entries.map((entry) => [entry.path, entry.kind === 'file' ? entry.digest : entry.path]),
  );
  const digestOf = (path: string): string => digests.get(path) ?? path;
  return twins.filter(({ first, second }) => digestOf(first) !== digestOf(second));
}

/**
 * Throws NAMES_COLLIDE where the file system of a folder would take some of them for one. It is tried there, as above, in a
 * directory whose name begins with `prefix`; without one what killed processes left of such directories is cleared.
 */
export async function checkFolder(
  twins: readonly Twins[],
  folder: string,
  prefix: string | undefined,
): Promise<void> {
  if (twins.length === 0) return;
  const colliding: Twins[] = [];
  const probe = await makeProbe(folder, prefix);
  try {
    for (const pair of twins) if (await areOne(probe, pair)) colliding.push(pair);
  } finally {
    await rm(probe, { recursive: true, force: true });
  }
  if (colliding.length > 0) throw collision(colliding);
}

/**
 * Throws NAMES_COLLIDE where files that were written below `target` have become one: a folder in it may be of another file
 * system, or take names in another way.
 */
export async function checkWritten(twins: readonly Twins[], target: string): Promise<void> {
  const colliding: Twins[] = [];
  for (const pair of twins) {
    // Numbers of inodes would not tell: some file systems make them up from the names they are asked for.
    const names = await readdir(join(target, dirname(pair.first)));
    const pairNames = new Set([basename(pair.first), basename(pair.second)]);
    const there = names.filter((name) => pairNames.has(name.normalize('NFC')));
    if (there.length < pairNames.size) colliding.push(pair);
  }
  if (colliding.length > 0) throw collision(colliding);
}

function collision(twins: readonly Twins[]): GridError {
  const [{ first, second } = { first: '', second: '' }] = twins;
  const more = twins.length === 1 ? '' : `, and ${twins.length - 1} more pairs,`;
  return new GridError(
    'NAMES_COLLIDE',
    `'${first}' and '${basename(second)}'${more} are one name to the file system there`,
    {
      problems: twins.slice(0, SHOWN).map((pair) => ({
        where: pair.second,
        message: `would be the same file as '${basename(pair.first)}'`,
      })),
    },
  );
}

/** The directory itself, or the nearest above it that is there. */
async function existing(dir: string): Promise<string> {
  for (let at = dir; ; at = dirname(at)) {
    const stats = await lstat(at).catch(() => undefined);
    if (stats !== undefined || at === dirname(at)) return at;
  }
}

/** What names of directories in which names are tried out have in the place of a content. */
const TRIED = { digest: sha256(Buffer.from('names')) };

async function makeProbe(dir: string, prefix?: string): Promise<string> {
  try {
    if (prefix !== undefined) return await mkdtemp(join(dir, prefix));
    const probe = join(dir, remnantOf(TRIED));
    await mkdir(probe);
    for (const name of await readdir(dir).catch(() => []))
      if (isRemnantOf(TRIED, name)) await removeHalf(join(dir, name));
    return probe;
  } catch (error) {
    throw writeFailure(dir, error);
  }
}

/** A name that cannot be there at all is told of when it is written. */
async function areOne(probe: string, { first, second }: Twins): Promise<boolean> {
  const one = join(probe, basename(first));
  try {
    await writeFile(one, '', { flag: 'wx' });
  } catch {
    return false;
  }
  const other = await lstat(join(probe, basename(second))).catch(() => undefined);
  await rm(one);
  return other !== undefined;
}
