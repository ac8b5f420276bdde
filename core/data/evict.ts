/** A file in a site's cache. */
export interface CachedEntry {
  /** Below the cache's directory; it names the VO and the content. */
  readonly path: string;
  readonly bytes: number;
  readonly usedAtMs: number;
  /** Whether a task's directory has a link to it: taking it from the cache would free nothing. */
  readonly held: boolean;
}

/**
 * What to take from a cache so that at most `keepBytes` are left: what was unused for longest first, ties by path. What a
 * task holds stays, and so does what was used at `recentMs` or later: it may be about to be linked. A use in the future
 * (the clock has gone back) counts as recent.
 */
export function chooseEvicted(
  entries: readonly CachedEntry[],
  keepBytes: number,
  recentMs: number,
): readonly CachedEntry[] {
  let bytes = entries.reduce((sum, entry) => sum + entry.bytes, 0);
  const evicted: CachedEntry[] = [];
  for (const entry of entries.toSorted(byAge)) {
    if (bytes <= keepBytes) break;
    if (entry.held || entry.usedAtMs >= recentMs) continue;
    evicted.push(entry);
    bytes -= entry.bytes;
  }
  return evicted;
}

const byAge = (a: CachedEntry, b: CachedEntry): number =>
  a.usedAtMs - b.usedAtMs || (a.path < b.path ? -1 : 1);
