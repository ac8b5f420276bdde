import type { TreeRef } from '../../core/data/manifest.ts';
import { decodeManifestIndex } from '../../core/data/manifest-index.ts';
import { filesOf } from '../../core/data/select.ts';
import { openBreath } from '../background.ts';
import { type ChunkName, chunkName } from './chunk-cipher.ts';
import type { ChunkStore } from './chunk-store.ts';
import { manifestParts } from './read-tree.ts';

/** Chunks between two looks at the time. */
const NAMED_AT_ONCE = 1_000;

/** Every chunk that a tree needs, those of its manifest included; throws what `loadManifest` throws. */
export async function treeChunks(
  store: ChunkStore,
  tree: TreeRef,
  signal?: AbortSignal,
): Promise<readonly string[]> {
  const chunks = new Set(await manifestChunks(store, tree, signal));
  for await (const part of manifestParts(store, tree, signal))
    for (const { slices } of filesOf(part)) for (const { digest } of slices) chunks.add(digest);
  return [...chunks];
}

/** The same with the names that the store has for them; others have their turn meanwhile. */
export async function* chunkNamesOf(
  store: ChunkStore,
  tree: TreeRef,
): AsyncGenerator<{ readonly digest: string; readonly name: ChunkName }, void, undefined> {
  const breathe = openBreath();
  for (const [at, digest] of (await treeChunks(store, tree)).entries()) {
    yield { digest, name: chunkName(digest) };
    if (at % NAMED_AT_ONCE === NAMED_AT_ONCE - 1) await breathe();
  }
}

/** Those of the manifest itself, unless it came with the reference. */
async function manifestChunks(
  store: ChunkStore,
  { digest, manifest }: TreeRef,
  signal: AbortSignal | undefined,
): Promise<readonly string[]> {
  if (digest === '' || (manifest?.byteLength ?? 0) > 0) return [];
  const index = decodeManifestIndex(await store.get(digest, signal));
  return [digest, ...(index?.chunks ?? [])];
}
