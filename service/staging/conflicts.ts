import { lstat, readlink } from 'node:fs/promises';
import { join } from 'node:path';
import type { Manifest, ManifestEntry } from '../../core/data/manifest.ts';
import { byPath } from '../../core/data/paths.ts';
import type { Problem } from '../../core/errors.ts';
import { mapAtOnce } from './at-once.ts';
import { digestOfFile } from './file-digest.ts';

const AT_ONCE = 256;

/** Files and links of a tree at whose places below `dir` there is something else. A folder never takes the place of anything. */
export async function conflictsOf(manifest: Manifest, dir: string): Promise<readonly Problem[]> {
  const isFresh = (await lstat(dir).catch(() => undefined)) === undefined;
  if (isFresh) return [];
  const problems: Problem[] = [];
  await mapAtOnce(AT_ONCE, manifest.entries, async (entry) => {
    const place = join(dir, entry.path);
    if (await isInTheWay(place, entry))
      problems.push({ where: place, message: 'differs from what is fetched' });
  });
  return problems.toSorted((a, b) => byPath({ path: a.where }, { path: b.where }));
}

async function isInTheWay(place: string, entry: ManifestEntry): Promise<boolean> {
  if (entry.kind === 'directory') return false;
  const stats = await lstat(place).catch(() => undefined);
  if (stats === undefined) return false;
  if (entry.kind === 'link')
    return !stats.isSymbolicLink() || (await readlink(place).catch(() => '')) !== entry.target;
  const isAlike = stats.isFile() && stats.size === entry.sizeBytes;
  return !isAlike || (await digestOfFile(place)) !== entry.digest;
}
