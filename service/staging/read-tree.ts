import type { Manifest, ManifestEntry, TreeRef } from '../../core/data/manifest.ts';
import { decodeInParts } from '../../core/data/manifest-codec.ts';
import {
  decodeManifestIndex,
  MAX_MANIFEST_BYTES,
  type ManifestIndex,
} from '../../core/data/manifest-index.ts';
import { type FileEntry, filesOf } from '../../core/data/select.ts';
import { GridError } from '../../core/errors.ts';
import { openBreath } from '../background.ts';
import { openByteBudget } from './byte-budget.ts';
import { type ChunkStore, sha256, verified } from './chunk-store.ts';
import { ZEROS_DIGEST } from './holes.ts';
import { sliceOf } from './slice-of.ts';
import { giveSlab } from './wire/slabs.ts';

/** Chunks that are asked for ahead of the one in use. */
const AHEAD = 12;

/** Throws MANIFEST_INVALID for a reference with the manifest of another tree: who believed it would sweep this one's chunks. */
export function checkManifest({ digest, manifest }: TreeRef): void {
  if (manifest !== undefined && manifest.byteLength > 0 && sha256(manifest) !== digest)
    throw new GridError('MANIFEST_INVALID', `manifest is not the one of tree ${digest}`);
}

/** The manifest of a tree, from the reference itself or the store; throws MANIFEST_INVALID, CHUNK_MISSING, CHUNK_CORRUPT. */
export async function loadManifest(
  store: ChunkStore,
  tree: TreeRef,
  signal?: AbortSignal,
): Promise<Manifest> {
  const entries: ManifestEntry[] = [];
  for await (const part of manifestParts(store, tree, signal)) entries.push(...part.entries);
  return { entries };
}

/**
 * The same in parts, for who keeps little of each. Others have their turn whenever it has taken long. What came is worth
 * something only when the last part has come: until then it may throw.
 */
export async function* manifestParts(
  store: ChunkStore,
  tree: TreeRef,
  signal?: AbortSignal,
): AsyncGenerator<Manifest, void, undefined> {
  if (tree.digest === '') return;
  const inline = tree.manifest;
  if (inline !== undefined && inline.byteLength > 0) {
    checkManifest(tree);
    yield* decoded(inline);
    return;
  }
  const root = await store.get(tree.digest, signal);
  const index = decodeManifestIndex(root);
  if (index === undefined) {
    yield* decoded(root);
    return;
  }
  await cut.take(index.totalBytes);
  try {
    yield* decoded(await wholeOf(store, index, signal));
  } finally {
    cut.give(index.totalBytes);
  }
}

async function* decoded(manifest: Uint8Array): AsyncGenerator<Manifest, void, undefined> {
  const breathe = openBreath();
  for (const part of decodeInParts(manifest)) {
    if (part.entries.length > 0) yield part;
    await breathe();
  }
}

/** Manifests that came in pieces, of this process: those of many large trees must not be in memory at a time. */
const cut = openByteBudget(() => MAX_MANIFEST_BYTES);

async function wholeOf(
  store: ChunkStore,
  { totalBytes, chunks }: ManifestIndex,
  signal: AbortSignal | undefined,
): Promise<Uint8Array> {
  const whole = Buffer.allocUnsafeSlow(totalBytes);
  let at = 0;
  const wanted = chunks.map((digest) => ({ digest }));
  for await (const { item, bytes } of chunksInOrder(store, wanted, signal)) {
    if (at + bytes.byteLength <= totalBytes) whole.set(verified(item.digest, bytes), at);
    at += bytes.byteLength;
    giveSlab(bytes);
  }
  if (at === totalBytes) return whole;
  throw new GridError('MANIFEST_INVALID', 'manifest has another length than its index says');
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
    yield sliceOf(file, item, verified(item.digest, bytes));
  }
}

/** The store, of which the chunks that `files` need first have been asked for: each of them is then received once. */
export function withFirst(
  store: ChunkStore,
  files: readonly FileEntry[],
  signal?: AbortSignal,
): ChunkStore {
  const coming = new Map<string, Promise<Uint8Array>>();
  for (const { slices } of [
    ...files.filter(isPacked),
    ...files.filter((file) => !isPacked(file)),
  ]) {
    for (const { digest } of slices) {
      if (coming.size === AHEAD) break;
      if (digest === ZEROS_DIGEST || coming.has(digest)) continue;
      const chunk = store.receive(digest, signal);
      // It may fail before its turn comes; then its turn tells.
      chunk.catch(() => undefined);
      coming.set(digest, chunk);
    }
  }
  return {
    ...store,
    receive: (digest, again) => {
      const chunk = coming.get(digest) ?? store.receive(digest, again);
      coming.delete(digest);
      return chunk;
    },
  };
}

/** Whether a file is all in one chunk: these are written first. */
const isPacked = ({ slices }: FileEntry): boolean => slices.length === 1;

/** The chunks of `items` as they come, unverified, one after the other, with the next ones on their way already. */
export async function* chunksInOrder<T extends { readonly digest: string }>(
  store: Pick<ChunkStore, 'receive'>,
  items: readonly T[],
  signal?: AbortSignal,
): AsyncGenerator<{ readonly item: T; readonly bytes: Uint8Array }> {
  const ahead: Promise<Uint8Array>[] = [];
  const ask = ({ digest }: T): void => {
    const chunk = store.receive(digest, signal);
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
