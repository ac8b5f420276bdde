import { randomBytes } from 'node:crypto';
import { open, readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { CHUNK_BYTES } from '../../../core/data/manifest.ts';
import { sha256 } from '../../../service/staging/chunk-store.ts';
import { fetchTree } from '../../../service/staging/fetch-tree.ts';
import { openFileCache } from '../../../service/staging/file-cache.ts';
import { bytesWritten, isZeros, ZEROS_DIGEST } from '../../../service/staging/holes.ts';
import { type TreeFixture, treeFixture } from '../../fakes/tree-fixture.ts';

let at: TreeFixture;
beforeEach(async () => {
  at = await treeFixture();
});
afterEach(() => at[Symbol.asyncDispose]());

const MIB = 2 ** 20;

/** A file of `sizeBytes` with some random bytes at each of `places`, and holes between them. */
async function writeSparse(path: string, sizeBytes: number, places: readonly number[]) {
  const file = await open(path, 'w');
  await file.truncate(sizeBytes);
  for (const place of places) await file.write(randomBytes(1_000), 0, 1_000, place);
  await file.close();
}

const bytesOnDisk = async (path: string): Promise<number> => (await stat(path)).blocks * 512;

test('zeros are what their digest says', () => {
  expect(sha256(new Uint8Array(CHUNK_BYTES))).toBe(ZEROS_DIGEST);
  expect(isZeros(new Uint8Array(CHUNK_BYTES))).toBe(true);
  expect(isZeros(new Uint8Array(CHUNK_BYTES - 1))).toBe(false);
  const last = new Uint8Array(CHUNK_BYTES);
  last[CHUNK_BYTES - 1] = 1;
  expect(isZeros(last)).toBe(false);
});

test.each<[string, number, readonly number[]]>([
  ['between its bytes', 40 * MIB, [0, 20 * MIB + 7, 40 * MIB - 1_000]],
  ['before all', 40 * MIB + 5, [39 * MIB]],
  ['behind all', 40 * MIB, [10]],
  ['and nothing else', 40 * MIB, []],
])('a file with holes %s keeps them, and they cost nothing', async (_, sizeBytes, places) => {
  const source = join(at.root, 'sparse');
  await writeSparse(source, sizeBytes, places);
  const { tree } = await at.send('.');
  expect(at.store.chunks.size).toBeLessThan(6);
  const cache = await openFileCache({ dir: join(at.dir, 'cache') });
  const copies = await openFileCache({ dir: join(at.dir, 'copies'), placement: 'copy' });
  for (const [target, options] of [
    [at.target, {}],
    [`${at.target}-through-a-cache`, { cache }],
    [`${at.target}-as-a-copy`, { cache: copies }],
  ] as const) {
    const fetched = await fetchTree(at.store, tree, target, options);
    expect(fetched.bytesFetched).toBeLessThanOrEqual((places.length + 1) * MIB);
    const copy = join(target, 'sparse');
    expect(sha256(await readFile(copy))).toBe(sha256(await readFile(source)));
    expect(await bytesOnDisk(copy)).toBeLessThan(4 * MIB);
  }
});

test('the room that a file needs is that of its bytes', () => {
  const slice = (digest: string) => ({ digest, offset: 0, length: CHUNK_BYTES });
  const slices = [slice('a'), slice(ZEROS_DIGEST), slice(ZEROS_DIGEST), slice('b')];
  const file = { kind: 'file', path: 'f', mode: 0o644, digest: 'f' } as const;
  expect(bytesWritten({ ...file, sizeBytes: 4 * MIB, slices })).toBe(2 * MIB);
  expect(bytesWritten({ ...file, sizeBytes: 0, slices: [] })).toBe(0);
});
