import { lstat, readlink } from 'node:fs/promises';
import { join } from 'node:path';
import type { Manifest, ManifestEntry } from '../../core/data/manifest.ts';
import { byPath } from '../../core/data/paths.ts';
import { filesOf } from '../../core/data/select.ts';
import type { Problem } from '../../core/errors.ts';
import { mapAtOnce } from './at-once.ts';
import { digestOfFile, stampOf } from './file-digest.ts';
import type { TransferOptions } from './send-tree.ts';

const AT_ONCE = 256;
const READ_AT_ONCE = 32;

/** What is there of a tree. */
interface Compared {
  /** Its files and links at whose places there is something else. A folder never takes the place of anything. */
  readonly problems: readonly Problem[];
  /** Files that are right, by path, with their stamps. */
  readonly right: ReadonlyMap<string, string>;
}

/** Compares a tree with what is below `dir`. Files of its sizes are read, and their bytes counted. */
export async function conflictsOf(
  manifest: Manifest,
  dir: string,
  { signal, onProgress }: Pick<TransferOptions, 'signal' | 'onProgress'> = {},
): Promise<Compared> {
  const differing: string[] = [];
  const right = new Map<string, string>();
  const isFresh = (await lstat(dir).catch(() => undefined)) === undefined;
  if (isFresh) return { problems: [], right };
  /** Of the files that have their size. */
  const stamps = new Map<string, string>();
  await mapAtOnce(AT_ONCE, manifest.entries, async (entry) => {
    const look = await lookAt(join(dir, entry.path), entry);
    if (look === 'differs') differing.push(entry.path);
    else if (look !== 'right') stamps.set(entry.path, look.stamp);
  });
  const alike = filesOf(manifest).filter(({ path }) => stamps.has(path));
  const totalBytes = alike.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
  let doneBytes = 0;
  const onBytes = (bytes: number): void => {
    doneBytes += bytes;
    onProgress?.({ doneBytes, totalBytes });
  };
  await mapAtOnce(READ_AT_ONCE, alike, async ({ path, digest }) => {
    const found = await digestOfFile(join(dir, path), { onBytes, signal });
    if (found === digest) right.set(path, stamps.get(path) ?? '');
    else differing.push(path);
  });
  const problems = differing.map((path) => ({
    where: join(dir, path),
    message: 'differs from what is fetched',
  }));
  return {
    problems: problems.toSorted((a, b) => byPath({ path: a.where }, { path: b.where })),
    right,
  };
}

/** What is there instead of an entry; of a file of its size the stamp, because only reading it tells. */
async function lookAt(
  place: string,
  entry: ManifestEntry,
): Promise<'right' | 'differs' | { readonly stamp: string }> {
  if (entry.kind === 'directory') return 'right';
  const stats = await lstat(place, { bigint: true }).catch(() => undefined);
  if (stats === undefined) return 'right';
  if (entry.kind === 'link') {
    const isSame =
      stats.isSymbolicLink() && (await readlink(place).catch(() => '')) === entry.target;
    return isSame ? 'right' : 'differs';
  }
  const isAlike = stats.isFile() && Number(stats.size) === entry.sizeBytes;
  return isAlike ? { stamp: stampOf(stats) } : 'differs';
}
