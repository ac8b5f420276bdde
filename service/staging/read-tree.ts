import type { Manifest, TreeRef } from '../../core/data/manifest.ts';
import { decodeManifest } from '../../core/data/manifest-codec.ts';
import { decodeManifestIndex } from '../../core/data/manifest-index.ts';
import { type FileEntry, filesOf } from '../../core/data/select.ts';
import { GridError } from '../../core/errors.ts';
import { type ChunkStore, sha256 } from './chunk-store.ts';

/** Chunks that are asked for ahead of the one in use. */
const AHEAD = 12;

/** The manifest of a tree, from the reference itself or the store; throws MANIFEST_INVALID, CHUNK_MISSING, CHUNK_CORRUPT. */
export async function loadManifest(
  store: ChunkStore,
  tree: TreeRef,
  signal?: AbortSignal,
): Promise<Manifest> {
  if (tree.digest === '') return { entries: [] };
  const inline = tree.manifest;
  if (inline !== undefined && inline.byteLength > 0) {
    if (sha256(inline) === tree.digest) return decodeManifest(inline);
    throw new GridError('MANIFEST_INVALID', `manifest is not the one of tree ${tree.digest}`);
  }
  const root = await store.get(tree.digest, signal);
  const index = decodeManifestIndex(root);
  if (index === undefined) return decodeManifest(root);
  const pieces: Uint8Array[] = [];
  const wanted = index.chunks.map((digest) => ({ digest }));
  for await (const { bytes } of chunksInOrder(store, wanted, signal)) pieces.push(bytes);
  const whole = Buffer.concat(pieces);
  if (whole.byteLength === index.totalBytes) return decodeManifest(whole);
  throw new GridError('MANIFEST_INVALID', `manifest of tree ${tree.digest} has another length`);
}

/** The bytes of one file of a tree, in order, each chunk verified; throws INPUT_MISSING if the tree has it not. */
export async function* readTreeFile(
  store: ChunkStore,
  tree: TreeRef,
  path: string,
  signal?: AbortSignal,
): AsyncGenerator<Uint8Array> {
  const manifest = await loadManifest(store, tree, signal);
  const file = filesOf(manifest).find((entry) => entry.path === path);
  if (file === undefined) throw new GridError('INPUT_MISSING', `the tree has no file '${path}'`);
  for await (const { item, bytes } of chunksInOrder(store, file.slices, signal)) {
    yield sliceOf(file, item, bytes);
  }
}

/** The bytes of a slice; throws MANIFEST_INVALID if the chunk is shorter than the manifest says. */
export function sliceOf(
  file: FileEntry,
  { digest, offset, length }: FileEntry['slices'][number],
  chunk: Uint8Array,
): Uint8Array {
  if (offset + length <= chunk.byteLength) return chunk.subarray(offset, offset + length);
  throw new GridError(
    'MANIFEST_INVALID',
    `'${file.path}' has a slice to byte ${offset + length} of chunk ${digest}, which has ${chunk.byteLength}`,
  );
}

/** The chunks of `items` one after the other, with the next ones on their way already. */
export async function* chunksInOrder<T extends { readonly digest: string }>(
  store: ChunkStore,
  items: readonly T[],
  signal?: AbortSignal,
): AsyncGenerator<{ readonly item: T; readonly bytes: Uint8Array }> {
  const ahead: Promise<Uint8Array>[] = [];
  const ask = ({ digest }: T): void => {
    const chunk = store.get(digest, signal);
    // It may fail before its turn comes; then its turn tells.
    chunk.catch(() => undefined);
    ahead.push(chunk);
  };
  items.slice(0, AHEAD).forEach(ask);
  for (const [at, item] of items.entries()) {
    const bytes = await ahead.shift();
    items.slice(at + AHEAD, at + AHEAD + 1).forEach(ask);
    if (bytes !== undefined) yield { item, bytes };
  }
}
