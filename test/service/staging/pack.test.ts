import { randomBytes } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { expect, test } from 'vitest';
import type { Manifest } from '../../../core/data/manifest.ts';
import { encodeManifest } from '../../../core/data/manifest-codec.ts';
import { packListBytes } from '../../../core/data/pack-plan.ts';
import { sha256, verified } from '../../../service/staging/chunk-store.ts';
import { fetchTree } from '../../../service/staging/fetch-tree.ts';
import { finishPack } from '../../../service/staging/pack.ts';
import { loadManifest, readTreeFile } from '../../../service/staging/read-tree.ts';
import { memoryStore } from '../../fakes/memory-store.ts';
import { listing, treeFixture } from '../../fakes/tree-fixture.ts';

const FILES = [randomBytes(100), randomBytes(1_000), Buffer.from('x')];
const rows = FILES.map((file) => ({ digest: sha256(file), length: file.byteLength }));

function packed(): { readonly name: string; readonly bytes: Buffer } {
  const bytes = Buffer.concat([Buffer.alloc(packListBytes(FILES.length)), ...FILES]);
  return { name: finishPack(bytes, rows), bytes };
}

const START = packListBytes(FILES.length);
const flipped = (bytes: Buffer, at: number): Buffer => {
  const other = Buffer.from(bytes);
  other[at] = (other[at] ?? 0) ^ 1;
  return other;
};

test('a pack is told by its name, which the same files have each time', () => {
  const { name, bytes } = packed();
  expect(verified(name, bytes)).toBe(bytes);
  expect(packed().name).toBe(name);
  expect(name).toMatch(/^[0-9a-f]{64}$/);
});

test.for<[string, (bytes: Buffer) => Buffer]>([
  ['a bit of its first file', (bytes) => flipped(bytes, START)],
  ['its last byte', (bytes) => flipped(bytes, bytes.byteLength - 1)],
  ['a digest in its list', (bytes) => flipped(bytes, 20)],
  ['a length in its list', (bytes) => flipped(bytes, 12 + 35)],
  ['how many files it has', (bytes) => flipped(bytes, 11)],
  ['its first letter', (bytes) => flipped(bytes, 0)],
  ['its end, where a byte is missing', (bytes) => bytes.subarray(0, -1)],
  ['its end, where there is one byte more', (bytes) => Buffer.concat([bytes, Buffer.alloc(1)])],
  ['all but its list', (bytes) => bytes.subarray(0, START)],
  ['all but part of its list', (bytes) => bytes.subarray(0, START - 1)],
  ['everything', () => Buffer.alloc(0)],
])('a pack that differs in %s is CHUNK_CORRUPT', ([, change]) => {
  const { name, bytes } = packed();
  const other = change(bytes);
  expect(() => verified(name, other)).toThrow('with another digest');
});

test('files in another order, or cut elsewhere, are another pack', () => {
  const { name, bytes } = packed();
  const other = Buffer.from(bytes);
  expect(finishPack(other, rows.toReversed())).not.toBe(name);
  expect(() => verified(name, other)).toThrow('with another digest');
});

test('a pack that is sound in itself, of other files, is not the one that is named', () => {
  const other = Buffer.concat([Buffer.alloc(packListBytes(2)), ...FILES.slice(1)]);
  expect(verified(finishPack(other, rows.slice(1)), other)).toBe(other);
  expect(() => verified(packed().name, other)).toThrow('with another digest');
});

test('a file that looks like a pack, or like the list of one, has a name of its own', () => {
  const { name, bytes } = packed();
  for (const file of [bytes, bytes.subarray(0, START)]) {
    expect(sha256(file)).not.toBe(name);
    expect(verified(sha256(file), file)).toBe(file);
  }
});

test('files that look like packs are sent and fetched, alone and packed', async () => {
  await using at = await treeFixture();
  const { bytes } = packed();
  await at.write('alone/pack', bytes);
  await at.write('list', bytes.subarray(0, START));
  for (const paths of [['alone'], ['list'], ['.']]) {
    const { tree } = await at.send(...paths);
    await fetchTree(at.store, tree, at.target);
  }
  expect(await listing(at.target)).toEqual(await listing(at.root));
});

test('a file is read out of a pack, and not out of one that is spoiled in another file', async () => {
  await using at = await treeFixture();
  for (const [index, file] of FILES.entries()) await at.write(`f${index}`, file);
  const { tree } = await at.send('.');
  const chunk = [...at.store.chunks.keys()][0] ?? '';
  expect(chunk).toBe(packed().name);
  const read = () => Readable.from(readTreeFile(at.store, tree, 'f1')).toArray();
  expect(Buffer.concat(await read())).toEqual(FILES[1]);
  at.store.chunks.set(chunk, flipped(packed().bytes, START));
  await expect(read()).rejects.toMatchObject({ code: 'CHUNK_CORRUPT' });
});

test('what was packed without a list, under its SHA-256, can still be fetched', async () => {
  await using at = await treeFixture();
  const [one, two] = [Buffer.from('one'), Buffer.from('second')];
  const chunk = Buffer.concat([one, two]);
  const digest = sha256(chunk);
  const fileOf = (path: string, bytes: Buffer, offset: number) => ({
    ...{ kind: 'file' as const, path, mode: 0o644, sizeBytes: bytes.byteLength },
    digest: sha256(bytes),
    slices: [{ digest, offset, length: bytes.byteLength }],
  });
  const manifest: Manifest = { entries: [fileOf('a', one, 0), fileOf('b', two, one.byteLength)] };
  const encoded = encodeManifest(manifest);
  const store = memoryStore();
  await store.put(digest, chunk);
  const tree = { digest: sha256(encoded), totalBytes: 9, files: 2, manifest: encoded };
  expect(await loadManifest(store, tree)).toEqual(manifest);
  await fetchTree(store, tree, at.target);
  expect(await readFile(join(at.target, 'b'), 'utf8')).toBe('second');
  expect(String(Buffer.concat(await Readable.from(readTreeFile(store, tree, 'a')).toArray()))).toBe(
    'one',
  );
});
