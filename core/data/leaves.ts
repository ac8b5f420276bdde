import type { ManifestEntry } from './manifest.ts';

/**
 * Tells of each entry, sorted by path, whether it lies below one that is no directory: it would be written through a link, or in
 * the place of a file.
 */
export function openLeaves(): (entry: ManifestEntry) => boolean {
  const leaves = new Set<string>();
  /** Looked at last: what is a leaf would have come before what is below it. */
  let lastFolder = '';
  return ({ kind, path }) => {
    if (kind !== 'directory') leaves.add(path);
    const folder = path.slice(0, Math.max(0, path.lastIndexOf('/')));
    if (folder === lastFolder) return false;
    lastFolder = folder;
    return parentsOf(path).some((parent) => leaves.has(parent));
  };
}

/** `a/b/c` -> `a`, `a/b`. */
function parentsOf(path: string): readonly string[] {
  const parents: string[] = [];
  for (let end = path.indexOf('/'); end !== -1; end = path.indexOf('/', end + 1)) {
    parents.push(path.slice(0, end));
  }
  return parents;
}
