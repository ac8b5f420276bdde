import { GridError } from '../errors.ts';
import { formatBytes } from '../units.ts';
import { CHUNK_BYTES } from './manifest.ts';

/**
 * A manifest that is larger than a chunk is itself cut, and the digest of the tree is that of an index of the pieces,
 * one line of JSON: `{"index":1,"bytes":total,"chunks":[hex...]}`; all pieces but the last have CHUNK_BYTES bytes.
 */
export interface ManifestIndex {
  readonly totalBytes: number;
  readonly chunks: readonly string[];
}

/** About 1.5 million files; more would not fit into memory together with what is made of it. */
export const MAX_MANIFEST_BYTES = 256 * 1024 * 1024;

/** What a tree has at most: the list of a hostile one could name 17 million of each. */
export const TREE_LIMITS = { entries: 2 ** 21, slices: 2 ** 22 } as const;

/** The least that the list of a tree takes of an entry besides its path: `["f","",0,0,"<64 digits>"],`, `["d","",0],`. */
const LEAST_BYTES = { file: 80, directory: 11, link: 11 } as const;

/** What `checkListSize` looks at. */
type Listed =
  | { readonly kind: 'file'; readonly path: string; readonly sizeBytes: number }
  | { readonly kind: 'directory' | 'link'; readonly path: string };

/** Throws TREE_TOO_LARGE for a tree whose manifest cannot but be too long: known from its names and sizes, before a file is read. */
export function checkListSize(entries: readonly Listed[]): void {
  checkCount(entries.length);
  let [least, slices] = [0, 0];
  for (const entry of entries) {
    least += LEAST_BYTES[entry.kind] + entry.path.length;
    if (entry.kind === 'file') slices += Math.ceil(entry.sizeBytes / CHUNK_BYTES);
  }
  if (least > MAX_MANIFEST_BYTES) throw tooMany(least);
  if (slices > TREE_LIMITS.slices)
    throw new GridError(
      'TREE_TOO_LARGE',
      `tree has too many bytes: ${formatBytes(TREE_LIMITS.slices * CHUNK_BYTES)} is the most`,
    );
}

/** Throws TREE_TOO_LARGE for more entries than a tree may have. */
export function checkCount(entries: number): void {
  if (entries > TREE_LIMITS.entries)
    throw new GridError(
      'TREE_TOO_LARGE',
      `tree has too many files: ${TREE_LIMITS.entries} files, folders and links are the most`,
    );
}

/** Throws TREE_TOO_LARGE. */
export function encodeManifestIndex({ totalBytes, chunks }: ManifestIndex): Uint8Array {
  if (totalBytes > MAX_MANIFEST_BYTES) {
    throw tooMany(totalBytes);
  }
  return new TextEncoder().encode(JSON.stringify({ index: 1, bytes: totalBytes, chunks }));
}

/** The index, or undefined if `bytes` begin like a manifest; throws MANIFEST_INVALID for an index that cannot be. */
export function decodeManifestIndex(bytes: Uint8Array): ManifestIndex | undefined {
  const text = new TextDecoder().decode(bytes);
  if (!text.startsWith('{"index":1,')) return undefined;
  const parts = /^\{"index":1,"bytes":(\d{1,9}),"chunks":\[((?:"[0-9a-f]{64}",?)+)\]\}$/.exec(text);
  const totalBytes = Number(parts?.[1]);
  const chunks = parts?.[2]?.match(/[0-9a-f]{64}/g) ?? [];
  const fits =
    totalBytes <= MAX_MANIFEST_BYTES && Math.ceil(totalBytes / CHUNK_BYTES) === chunks.length;
  if (parts === null || !fits)
    throw new GridError('MANIFEST_INVALID', 'index of a manifest is malformed');
  return { totalBytes, chunks };
}

const tooMany = (bytes: number): GridError =>
  new GridError(
    'TREE_TOO_LARGE',
    `tree has too many files: the list of them takes ${formatBytes(bytes)}, and ${formatBytes(MAX_MANIFEST_BYTES)} is the most`,
  );
