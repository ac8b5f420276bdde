import type { Manifest, ManifestEntry } from './manifest.ts';
import { byPath } from './paths.ts';
import { filesOf } from './select.ts';

/** How one path differs between two trees. */
export interface Difference {
  readonly path: string;
  readonly kind: 'added' | 'removed' | 'changed' | 'mode';
  /** Bytes of the file in the newer tree, of what was removed in the older one; 0 for what is no file. */
  readonly bytes: number;
}

/** What is different in `newer`, by path; `mode` where nothing but the permissions is. */
export function compareTrees(older: Manifest, newer: Manifest): readonly Difference[] {
  const before = new Map(older.entries.map((entry) => [entry.path, entry]));
  const after = new Map(newer.entries.map((entry) => [entry.path, entry]));
  const differences: Difference[] = [];
  for (const entry of newer.entries) {
    const old = before.get(entry.path);
    const kind = old === undefined ? 'added' : changeOf(old, entry);
    if (kind !== undefined) differences.push({ path: entry.path, kind, bytes: bytesOf(entry) });
  }
  for (const entry of older.entries)
    if (!after.has(entry.path))
      differences.push({ path: entry.path, kind: 'removed', bytes: bytesOf(entry) });
  return differences.toSorted(byPath);
}

const bytesOf = (entry: ManifestEntry): number => (entry.kind === 'file' ? entry.sizeBytes : 0);

/** The content of an entry, permissions left out. */
const contentOf = (entry: ManifestEntry): string =>
  entry.kind === 'file' ? entry.digest : entry.kind === 'link' ? entry.target : '';

const modeOf = (entry: ManifestEntry): number => (entry.kind === 'link' ? 0 : entry.mode);

function changeOf(older: ManifestEntry, newer: ManifestEntry): 'changed' | 'mode' | undefined {
  if (older.kind !== newer.kind || contentOf(older) !== contentOf(newer)) return 'changed';
  return modeOf(older) === modeOf(newer) ? undefined : 'mode';
}

/** The chunks of a tree with the bytes of each from the first to the last that its files use: the list of a pack is not theirs. */
export function chunkBytes(manifest: Manifest): ReadonlyMap<string, number> {
  const spans = new Map<string, { from: number; to: number }>();
  for (const { slices } of filesOf(manifest)) {
    for (const { digest, offset, length } of slices) {
      const span = spans.get(digest) ?? { from: offset, to: offset };
      span.from = Math.min(span.from, offset);
      span.to = Math.max(span.to, offset + length);
      spans.set(digest, span);
    }
  }
  return new Map([...spans].map(([digest, { from, to }]) => [digest, to - from]));
}
