import { setTimeout } from 'node:timers/promises';
import { describe, expect, test } from 'vitest';
import { CHUNK_BYTES } from '../../../core/data/manifest.ts';
import { encodeManifest } from '../../../core/data/manifest-codec.ts';
import { encodeManifestIndex } from '../../../core/data/manifest-index.ts';
import { GridError } from '../../../core/errors.ts';
import { sha256 } from '../../../service/staging/chunk-store.ts';
import { loadManifest } from '../../../service/staging/read-tree.ts';
import { memoryStore } from '../../fakes/memory-store.ts';

const DIGEST = 'ab'.repeat(32);
const fileOf = (chunk: string): Uint8Array =>
  encodeManifest({
    entries: [
      {
        kind: 'file',
        path: 'x',
        mode: 0o644,
        sizeBytes: 9,
        digest: DIGEST,
        slices: [{ digest: chunk, offset: 0, length: 9 }],
      },
    ],
  });
const indexOf = (totalBytes: number, ...chunks: readonly string[]): Uint8Array =>
  encodeManifestIndex({ totalBytes, chunks });
const refOf = (digest: string) => ({ digest, totalBytes: 9, files: 1 });

describe('a manifest that refers to itself', () => {
  // No digest is that of bytes that hold it, so it can only be put under a name that is not its own.
  test.for<[string, Uint8Array]>([
    ['as the index of its own pieces', indexOf(200, DIGEST)],
    ['as a chunk of its file', fileOf(DIGEST)],
  ])('%s is taken for the false bytes that it is', async ([, bytes]) => {
    const store = memoryStore();
    await store.put(DIGEST, bytes);
    await expect(loadManifest(store, refOf(DIGEST))).rejects.toMatchObject({
      code: 'CHUNK_CORRUPT',
    });
    expect(store.calls.get).toBe(1);
    const inline = { ...refOf(DIGEST), manifest: bytes };
    await expect(loadManifest(store, inline)).rejects.toMatchObject({ code: 'MANIFEST_INVALID' });
  });

  test('by way of another one is none: an index of an index is not followed', async () => {
    const store = memoryStore();
    let bytes = fileOf(DIGEST);
    for (let level = 0; level < 3; level += 1) {
      await store.put(sha256(bytes), bytes);
      bytes = indexOf(bytes.byteLength, sha256(bytes));
    }
    await store.put(sha256(bytes), bytes);
    await expect(loadManifest(store, refOf(sha256(bytes)))).rejects.toMatchObject({
      code: 'MANIFEST_INVALID',
    });
    expect(store.calls.get).toBe(2);
  });
});

test('manifests of many large trees are not in memory at a time', async () => {
  const store = memoryStore();
  const pieces = ['a'.repeat(64), 'b'.repeat(64)];
  const indexes = pieces.map((piece) =>
    indexOf(200 * CHUNK_BYTES, ...Array.from({ length: 200 }, () => piece)),
  );
  for (const index of indexes) await store.put(sha256(index), index);
  const asked: string[] = [];
  const slow = Promise.withResolvers<Uint8Array>();
  const receive = (digest: string): Promise<Uint8Array> => {
    asked.push(digest);
    return slow.promise;
  };
  const loads = indexes.map((index) => loadManifest({ ...store, receive }, refOf(sha256(index))));
  const ended = Promise.allSettled(loads);
  await setTimeout(50);
  expect(new Set(asked)).toEqual(new Set(pieces.slice(0, 1)));
  slow.reject(new GridError('CHUNK_MISSING', 'the store has no such chunk'));
  await ended;
  expect(new Set(asked)).toEqual(new Set(pieces));
});

test('others have their turn while the list of a tree is read that is no longer than a chunk', async () => {
  const store = memoryStore();
  const entries = Array.from({ length: 40_000 }, (_, at) => ({
    ...{ kind: 'directory' as const, mode: 0o755 },
    path: `d${at.toString().padStart(5, '0')}`,
  }));
  const manifest = encodeManifest({ entries });
  expect(manifest.byteLength).toBeLessThan(CHUNK_BYTES);
  await store.put(sha256(manifest), manifest);
  let turns = 0;
  const turn = setInterval(() => {
    turns += 1;
  }, 1);
  expect(await loadManifest(store, refOf(sha256(manifest)))).toEqual({ entries });
  clearInterval(turn);
  expect(turns).toBeGreaterThan(3);
});
