import { randomBytes } from 'node:crypto';
import { zstdCompressSync } from 'node:zlib';
import { expect, test } from 'vitest';
import { CHUNK_BYTES } from '../../../core/data/manifest.ts';
import { decodeChunk, openChunkCoder } from '../../../service/staging/chunk-coding.ts';

const LINES = Buffer.from(
  Array.from({ length: CHUNK_BYTES / 8 }, (_, n) => `${n * 7919} a line\n`).join(''),
);
const text = (bytes: number): Buffer => LINES.subarray(0, bytes);

test.each([2_048, 100_000, CHUNK_BYTES])(
  '%i bytes of text are packed and come back',
  async (size) => {
    const bytes = text(size);
    const coded = await openChunkCoder().encode(bytes);
    expect(coded.coding).toBe('zstd');
    expect(coded.bytes.byteLength).toBeLessThan(size / 2);
    expect(Buffer.compare(await decodeChunk('d', coded), bytes)).toBe(0);
  },
);

test('what would not shrink, or is tiny, goes as it is', async () => {
  for (const bytes of [randomBytes(CHUNK_BYTES), text(2_047), Buffer.alloc(0)]) {
    const coded = await openChunkCoder().encode(bytes);
    expect(coded.coding).toBe('');
    expect(coded.bytes).toBe(bytes);
  }
});

test('a chunk that shrinks only where the sample looks goes as it is', async () => {
  const ends = Buffer.alloc(4_096);
  const bytes = Buffer.concat([ends, randomBytes(CHUNK_BYTES - 8_192), ends]);
  expect((await openChunkCoder().encode(bytes)).coding).toBe('');
});

test('after a run of chunks in vain one in sixteen is looked at, and one that pays ends the run', async () => {
  const coder = openChunkCoder();
  const noise = randomBytes(CHUNK_BYTES);
  for (let n = 0; n < 40; n += 1) await coder.encode(noise);
  const codings: string[] = [];
  for (let n = 0; n < 20; n += 1) codings.push((await coder.encode(text(CHUNK_BYTES))).coding);
  const first = codings.indexOf('zstd');
  expect(first).toBeGreaterThanOrEqual(0);
  expect(first).toBeLessThan(16);
  expect(new Set(codings.slice(first))).toEqual(new Set(['zstd']));
});

test.each<[string, Uint8Array, string]>([
  ['of no frame', randomBytes(100), 'zstd'],
  ['of half a frame', zstdCompressSync(text(50_000)).subarray(0, 2_000), 'zstd'],
  ['of more than a chunk has', zstdCompressSync(Buffer.alloc(50 * CHUNK_BYTES)), 'zstd'],
  ['in a coding that nobody knows', zstdCompressSync(text(50_000)), 'br'],
])('a chunk %s is CHUNK_CORRUPT, by its digest', async (_, bytes, coding) => {
  // Of what comes of it no more than the length is told: it may be large.
  const length = decodeChunk('abc', { bytes, coding }).then((more) => more.byteLength);
  await expect(length).rejects.toMatchObject({
    code: 'CHUNK_CORRUPT',
    message: expect.stringContaining('chunk abc'),
  });
});
