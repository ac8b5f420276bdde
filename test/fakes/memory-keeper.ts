import type { OpenKeeper } from '../../broker/data/staging-accounts.ts';
import { encodeManifest } from '../../core/data/manifest-codec.ts';
import { chunkName } from '../../service/staging/chunk-cipher.ts';
import { sha256 } from '../../service/staging/chunk-store.ts';
import { type MemoryStore, memoryStore } from './memory-store.ts';

/** What the broker has of a store in memory: a chunk goes a turn after it was asked to. */
export function memoryKeeper(): OpenKeeper & { readonly store: MemoryStore } {
  const store = memoryStore();
  return {
    store,
    list: () => Promise.resolve({ names: [...store.chunks.keys()].map(chunkName), strays: 0 }),
    removeStrays: () => Promise.resolve(0),
    remove: async (names) => {
      await new Promise(setImmediate);
      for (const digest of [...store.chunks.keys()])
        if (names.includes(chunkName(digest))) store.chunks.delete(digest);
    },
    [Symbol.asyncDispose]: () => Promise.resolve(),
  };
}

/** A tree of one file, with its one chunk. */
export function treeOf(content: string) {
  const bytes = Buffer.from(content);
  const digest = sha256(bytes);
  const slices = [{ digest, offset: 0, length: bytes.length }];
  const file = { kind: 'file', path: 'file', mode: 0o644, sizeBytes: bytes.length } as const;
  const manifest = encodeManifest({ entries: [{ ...file, digest, slices }] });
  const tree = { digest: sha256(manifest), totalBytes: bytes.length, files: 1, manifest };
  return { tree, digest, bytes };
}
