import { Readable } from 'node:stream';
import { describe, expect, test } from 'vitest';
import { encodeManifest } from '../../../core/data/manifest-codec.ts';
import { encodeManifestIndex } from '../../../core/data/manifest-index.ts';
import { sha256 } from '../../../service/staging/chunk-store.ts';
import { fetchTree } from '../../../service/staging/fetch-tree.ts';
import { chunksInOrder, loadManifest, readTreeFile } from '../../../service/staging/read-tree.ts';
import { memoryStore } from '../../fakes/memory-store.ts';
import { treeFixture } from '../../fakes/tree-fixture.ts';

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

test('a file that its manifest has beyond the end of a chunk is not read', async () => {
  const store = memoryStore();
  const chunk = Buffer.from('short');
  await store.put(sha256(chunk), chunk);
  const manifest = fileOf(sha256(chunk));
  const tree = { ...refOf(sha256(manifest)), manifest };
  await expect(Readable.from(readTreeFile(store, tree, 'x')).toArray()).rejects.toMatchObject({
    code: 'MANIFEST_INVALID',
    message: expect.stringContaining("'x' has a slice to byte 9"),
  });
});

test('a list that has been read is not read again when its files are fetched', async () => {
  await using at = await treeFixture();
  for (let n = 0; n < 100; n += 1) await at.write(`file-${n}`, `content ${n}`);
  const { tree } = await at.send('.');
  const manifest = await loadManifest(at.store, tree);
  expect(at.store.chunks.delete(tree.digest)).toBe(true);
  const { files } = await fetchTree(at.store, tree, at.target, { manifest });
  expect(files).toBe(100);
});

describe('a manifest in pieces', () => {
  test('is not believed where a piece is another manifest than its digest says', async () => {
    const store = memoryStore();
    const [mine, theirs] = [fileOf(DIGEST), fileOf('cd'.repeat(32))];
    const index = indexOf(mine.byteLength, sha256(mine));
    await store.put(sha256(index), index);
    await store.put(sha256(mine), theirs);
    await expect(loadManifest(store, refOf(sha256(index)))).rejects.toMatchObject({
      code: 'CHUNK_CORRUPT',
    });
  });

  test.for([-1, 1])('has the length that its index says, and not %i bytes more', async (more) => {
    const store = memoryStore();
    const piece = fileOf(DIGEST);
    const index = indexOf(piece.byteLength + more, sha256(piece));
    for (const bytes of [piece, index]) await store.put(sha256(bytes), bytes);
    await expect(loadManifest(store, refOf(sha256(index)))).rejects.toMatchObject({
      code: 'MANIFEST_INVALID',
      message: expect.stringContaining('another length'),
    });
  });
});

test('a dozen chunks are asked for ahead of the one in use, and not all', async () => {
  const store = memoryStore();
  const bytes = Buffer.from('a chunk');
  await store.put(sha256(bytes), bytes);
  const items = Array.from({ length: 100 }, () => ({ digest: sha256(bytes) }));
  const chunks = chunksInOrder(store, items);
  for (const asked of [13, 14, 15]) {
    await chunks.next();
    expect(store.calls.get).toBe(asked);
  }
  await chunks.return(undefined);
});
