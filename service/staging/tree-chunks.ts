import type { TreeRef } from '../../core/data/manifest.ts';
import { decodeManifestIndex } from '../../core/data/manifest-index.ts';
import { chunksOf } from '../../core/data/select.ts';
import type { ChunkStore } from './chunk-store.ts';
import { loadManifest } from './read-tree.ts';

/** Every chunk that a tree needs, those of its manifest included; throws what `loadManifest` throws. */
export async function treeChunks(
  store: ChunkStore,
  tree: TreeRef,
  signal?: AbortSignal,
): Promise<readonly string[]> {
  const chunks = chunksOf(await loadManifest(store, tree, signal));
  if (tree.digest === '' || (tree.manifest?.byteLength ?? 0) > 0) return chunks;
  const index = decodeManifestIndex(await store.get(tree.digest, signal));
  return [tree.digest, ...(index?.chunks ?? []), ...chunks];
}
