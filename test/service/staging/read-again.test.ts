import { randomBytes, randomUUID } from 'node:crypto';
import { chmod, link, mkdtemp, rm, stat, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { sha256 } from '../../../service/staging/chunk-store.ts';
import { diskFor, diskThread } from '../../../service/staging/disk/disk.ts';
import type { ReadPiece } from '../../../service/staging/disk/disk-jobs.ts';

describe.each([
  ['in the same thread', () => diskFor(0)],
  ['in a thread of its own', () => diskThread()],
])('reading %s', (_, open) => {
  const disk = open();
  let dir: string;
  beforeEach(async () => {
    dir = await mkdtemp(join(tmpdir(), 'hanse-disk-'));
  });
  afterEach(() => rm(dir, { recursive: true }));

  const pieceOf = async (path: string, offset: number, length: number): Promise<ReadPiece> => {
    const { size, mtimeMs, ctimeMs } = await stat(join(dir, path));
    return { path, sizeBytes: size, mtimeMs, ctimeMs, offset, length };
  };

  /** What `act` does to the file between the two pieces that it is read in, at another time of its file system's clock. */
  const readAround = async (act: (file: string) => Promise<void>) => {
    const file = join(dir, 'large');
    const large = randomBytes(100);
    await writeFile(file, large);
    await utimes(file, 1, 1);
    const pieces = [await pieceOf('large', 0, 60), await pieceOf('large', 60, 40)];
    const target = new Uint8Array(new SharedArrayBuffer(60));
    await disk.read({ send: dir, root: dir, pieces: pieces.slice(0, 1), target });
    await expect
      .poll(async () => {
        await act(file);
        return (await stat(file)).ctimeMs;
      })
      .not.toBe(pieces[0]?.ctimeMs);
    const rest = target.subarray(0, 40);
    const last = { send: dir, root: dir, pieces: pieces.slice(1), target: rest };
    return { digest: sha256(large), read: disk.read(last) };
  };

  test('a file that is written while it is read, and given its old time, is FILE_CHANGED', async () => {
    const { read } = await readAround(async (file) => {
      await writeFile(file, randomBytes(100), { flag: 'r+' });
      await utimes(file, 1, 1);
    });
    await expect(read).rejects.toMatchObject({ code: 'FILE_CHANGED' });
    await disk.close(dir);
  });

  test('a file that gets another link and mode while it is read is read', async () => {
    const { read, digest } = await readAround(async (file) => {
      await link(file, join(dir, `link-${randomUUID()}`));
      await chmod(file, 0o444);
    });
    await expect(read).resolves.toMatchObject({ files: [digest] });
  });
});
