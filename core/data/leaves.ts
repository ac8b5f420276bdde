import type { ManifestEntry } from './manifest.ts';

/**
 * Tells of each entry, sorted by path, whether it lies below one that is no directory: it would be written through a link, or in
 * the place of a file.
 */
export function openLeaves(): (entry: ManifestEntry) => boolean {
  /** Those with whose paths the last one begins: what lies below another would have come before. Each begins with the one before it. */
  const leaves: string[] = [];
  return ({ kind, path }) => {
    while (!path.startsWith(leaves.at(-1) ?? '')) leaves.pop();
    const isBelow = leaves.some((leaf) => path[leaf.length] === '/');
    if (kind !== 'directory') leaves.push(path);
    return isBelow;
  };
}
