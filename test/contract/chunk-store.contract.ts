import { randomBytes } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { CHUNK_BYTES } from '../../core/data/manifest.ts';
import { type ChunkStore, sha256 } from '../../service/staging/chunk-store.ts';

/** A store under test, and a way to put wrong bytes under a digest. */
export interface ChunkStoreUnderTest extends AsyncDisposable {
  readonly store: ChunkStore;
  corrupt(digest: string, bytes: Uint8Array): Promise<void>;
}

const chunk = (size: number) => {
  const bytes = randomBytes(size);
  return { bytes, digest: sha256(bytes) };
};

/** What every chunk store does. */
export function chunkStoreContract(name: string, open: () => ChunkStoreUnderTest): void {
  describe(`${name} keeps the chunk store contract`, () => {
    let opened: ChunkStoreUnderTest;
    beforeAll(() => {
      opened = open();
    });
    afterAll(() => opened[Symbol.asyncDispose]());

    test('what was put is got, up to the full chunk size', async () => {
      for (const size of [1, 1_000, CHUNK_BYTES]) {
        const { bytes, digest } = chunk(size);
        expect(await opened.store.put(digest, bytes)).toBe(size);
        expect(Buffer.compare(await opened.store.get(digest), bytes)).toBe(0);
      }
    });

    test('what can be packed is got as it was', async () => {
      for (const size of [40_000, CHUNK_BYTES]) {
        const bytes = Buffer.alloc(size, `${size} lines of text that repeat themselves\n`);
        const digest = sha256(bytes);
        expect(await opened.store.put(digest, bytes)).toBeGreaterThan(0);
        expect(Buffer.compare(await opened.store.get(digest), bytes)).toBe(0);
        expect(Buffer.compare(await opened.store.receive(digest), bytes)).toBe(0);
        expect(await opened.store.put(digest, bytes)).toBe(0);
      }
    });

    test('a second put of the same chunk says that it was there', async () => {
      const { bytes, digest } = chunk(1_000);
      await opened.store.put(digest, bytes);
      expect(await opened.store.put(digest, bytes)).toBe(0);
    });

    test('one question tells which of many chunks are missing', async () => {
      const there = Array.from({ length: 50 }, () => chunk(100));
      const absent = Array.from({ length: 50 }, () => chunk(100).digest);
      await Promise.all(there.map(({ digest, bytes }) => opened.store.put(digest, bytes)));
      const asked = [...there.map(({ digest }) => digest), ...absent, ...absent];
      expect(await opened.store.missing(asked)).toEqual(new Set(absent));
      expect(await opened.store.missing([])).toEqual(new Set());
    });

    test('asking for a chunk does not make it', async () => {
      const { digest } = chunk(10);
      await opened.store.missing([digest]);
      expect(await opened.store.missing([digest])).toEqual(new Set([digest]));
    });

    test('a chunk that is not there is CHUNK_MISSING, by its digest', async () => {
      const { digest } = chunk(10);
      await expect(opened.store.get(digest)).rejects.toMatchObject({
        code: 'CHUNK_MISSING',
        message: expect.stringContaining(digest),
      });
    });

    test('wrong bytes under a digest are CHUNK_CORRUPT, and never given', async () => {
      const { bytes, digest } = chunk(10);
      await opened.corrupt(digest, Buffer.concat([bytes, Buffer.from('x')]));
      await expect(opened.store.get(digest)).rejects.toMatchObject({ code: 'CHUNK_CORRUPT' });
    });

    test('a hundred full chunks at a time arrive', async () => {
      const many = Array.from({ length: 100 }, () => chunk(CHUNK_BYTES));
      await Promise.all(many.map(({ digest, bytes }) => opened.store.put(digest, bytes)));
      const sizes = await Promise.all(
        many.map(async ({ digest }) => (await opened.store.get(digest)).byteLength),
      );
      expect(sizes).toEqual(many.map(() => CHUNK_BYTES));
    });
  });
}
