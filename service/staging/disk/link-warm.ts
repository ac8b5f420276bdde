import { linkSync, renameSync, rmSync, statSync, utimesSync } from 'node:fs';
import { errnoOf } from '../file-errors.ts';
import { isSealed, isUseNews, SEALED_S } from '../sealed.ts';
import type { LinkJob, WarmLink } from './disk-jobs.ts';

/** Links files of the cache to where they are wanted; says of each whether it is there now. What was not is as before. */
export const linkWarm = ({ nowMs, links }: LinkJob): readonly boolean[] =>
  links.map((link) => {
    try {
      const stats = statSync(link.path);
      if (!isSealed(link, stats)) return false;
      if (isUseNews(nowMs, stats)) utimesSync(link.path, nowMs / 1_000, SEALED_S);
      place(link);
      return true;
    } catch {
      // Whoever does it the long way finds out why.
      return false;
    }
  });

function place({ path, to, partial }: WarmLink): void {
  try {
    linkSync(path, to);
  } catch (error) {
    if (errnoOf(error) !== 'EEXIST') throw error;
    linkSync(path, partial);
    try {
      renameSync(partial, to);
    } finally {
      // Renaming one hard link onto another of the same file leaves both.
      rmSync(partial, { force: true });
    }
  }
}
