import { lstat } from 'node:fs/promises';
import { join } from 'node:path';
import type { Manifest } from '../../core/data/manifest.ts';
import { byPath } from '../../core/data/paths.ts';
import { filesOf } from '../../core/data/select.ts';
import type { Problem } from '../../core/errors.ts';
import { mapAtOnce } from './at-once.ts';
import { digestOfFile } from './file-digest.ts';

const AT_ONCE = 256;

/** Files of a tree at whose places below `dir` there is something else. */
export async function conflictsOf(manifest: Manifest, dir: string): Promise<readonly Problem[]> {
  const isFresh = (await lstat(dir).catch(() => undefined)) === undefined;
  if (isFresh) return [];
  const problems: Problem[] = [];
  await mapAtOnce(AT_ONCE, filesOf(manifest), async ({ path, sizeBytes, digest }) => {
    const place = join(dir, path);
    const stats = await lstat(place).catch(() => undefined);
    if (stats === undefined) return;
    const same =
      stats.isFile() && stats.size === sizeBytes && (await digestOfFile(place)) === digest;
    if (!same) problems.push({ where: place, message: 'differs from what is fetched' });
  });
  return problems.toSorted((a, b) => byPath({ path: a.where }, { path: b.where }));
}
