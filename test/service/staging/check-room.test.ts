import { statfs } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { expect, test } from 'vitest';
import type { FileEntry } from '../../../core/data/select.ts';
import { formatBytes, writeBytes } from '../../../core/units.ts';
import { makeCacheRoom } from '../../../service/staging/check-room.ts';

const dir = tmpdir();
const fileOf = (path: string, digest: string, sizeBytes: number): FileEntry => ({
  kind: 'file',
  path,
  mode: 0o644,
  sizeBytes,
  digest,
  slices: [],
});

/** How much is made free for files of so many tenths of what is free; in such tenths, as others write to this disk. */
async function madeFor(
  files: readonly (readonly [digest: string, tenths: number])[],
  { copies, warm = [] }: { readonly copies: boolean; readonly warm?: readonly string[] },
): Promise<number> {
  const { bavail, bsize } = await statfs(dir);
  const tenth = (bavail * bsize) / 10;
  const entries = files.map(([digest, tenths], n) =>
    fileOf(`f${n}`, digest, Math.floor(tenths * tenth)),
  );
  let freed = 0;
  const cache = {
    copies,
    sizeOf: ({ digest }: { readonly digest: string }) =>
      Promise.resolve(warm.includes(digest) ? 1 : undefined),
    free: (bytes: number) => {
      freed += bytes;
      return Promise.resolve();
    },
  };
  await makeCacheRoom({ target: dir, root: dir }, entries, cache);
  return Math.round(freed / tenth);
}

test('what is only little more than there is room for is said in bytes', async () => {
  const { blocks, bsize } = await statfs(dir);
  const most = blocks * bsize;
  const cache = { copies: false, sizeOf: async () => undefined, free: async () => undefined };
  const file = fileOf('f', 'a', most + 1);
  await expect(makeCacheRoom({ target: dir, root: dir }, [file], cache)).rejects.toThrow(
    `${formatBytes(most + 1)} are to be written to ${dir}, where there is room for ${writeBytes(most)}: nothing`,
  );
});

test('a cache that links needs room for each content once', async () => {
  const twice = [
    ['a', 6],
    ['a', 6],
  ] as const;
  expect(await madeFor(twice, { copies: false })).toBe(0);
  expect(await madeFor(twice, { copies: true })).toBe(8);
});

test('a cache that copies makes room for the copies, too, but not for what it has', async () => {
  expect(await madeFor([['a', 4]], { copies: true })).toBe(0);
  expect(await madeFor([['a', 6]], { copies: true })).toBe(2);
  expect(await madeFor([['a', 6]], { copies: true, warm: ['a'] })).toBe(0);
  const two = [
    ['a', 5],
    ['b', 5],
  ] as const;
  expect(await madeFor(two, { copies: true })).toBe(10);
  expect(await madeFor(two, { copies: true, warm: ['a'] })).toBe(5);
});
