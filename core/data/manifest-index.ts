import { GridError } from '../errors.ts';
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
const MAX_MANIFEST_BYTES = 256 * 1024 * 1024;

export function encodeManifestIndex({ totalBytes, chunks }: ManifestIndex): Uint8Array {
  if (totalBytes > MAX_MANIFEST_BYTES) {
    throw new GridError(
      'MANIFEST_INVALID',
      `tree has too many files: its list takes ${totalBytes} bytes`,
    );
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
