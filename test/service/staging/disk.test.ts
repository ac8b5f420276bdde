import { execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { closeSync, constants, openSync } from 'node:fs';
import {
  link,
  mkdir,
  mkdtemp,
  readdir,
  readFile,
  rename,
  rm,
  stat,
  symlink,
  utimes,
  writeFile,
} from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { CHUNK_BYTES } from '../../../core/data/manifest.ts';
import { packListBytes } from '../../../core/data/pack-plan.ts';
import { pause } from '../../../service/background.ts';
import { sha256, verified } from '../../../service/staging/chunk-store.ts';
import { diskFor, diskThread } from '../../../service/staging/disk/disk.ts';
import type { ReadPiece, WrittenFile } from '../../../service/staging/disk/disk-jobs.ts';
import { ZEROS_DIGEST } from '../../../service/staging/holes.ts';

const inline = diskFor(0);

describe.each([
  ['in the same thread', () => inline],
  ['in a thread of its own', () => diskThread()],
])('file work %s', (_, open) => {
  const disk = open();
  let dir: string;
  beforeEach(async () => {
    dir = await mkdtemp(join(tmpdir(), 'hanse-disk-'));
  });
  afterEach(() => rm(dir, { recursive: true }));

  const fileOf = (content: Buffer, more: Partial<WrittenFile> = {}): WrittenFile => ({
    path: 'some/file',
    sizeBytes: content.length,
    digest: sha256(content),
    partial: join(dir, 'partial'),
    mode: 0o640,
    landing: { to: join(dir, 'file') },
    ...more,
  });

  test('a file is written with its mode, in a folder that is made, with its time', async () => {
    const content = Buffer.from('content');
    const landing = { to: join(dir, 'a/b'), folderMode: 0o711, writtenS: 7 };
    const file = fileOf(content, { landing });
    const slice = { file, offset: 1, length: 7, part: 'whole' } as const;
    const bytes = Buffer.from('xcontenty');
    await disk.write({ digest: sha256(bytes), bytes, slices: [slice] });
    expect(await readFile(join(dir, 'a/b'), 'utf8')).toBe('content');
    const stats = await stat(join(dir, 'a/b'));
    expect([stats.mode & 0o777, stats.mtimeMs]).toEqual([0o640, 7_000]);
    expect((await stat(join(dir, 'a'))).mode & 0o777).toBe(0o711);
    expect(await readdir(dir)).toEqual(['a']);
  });

  test('a file of many chunks appears with the last of them', async () => {
    const chunks = [randomBytes(1_000), randomBytes(1_000), randomBytes(7)];
    const file = fileOf(Buffer.concat(chunks));
    for (const [at, bytes] of chunks.entries()) {
      const part = at === 2 ? 'last' : 'other';
      const slices = [{ file, offset: 0, length: bytes.length, part }] as const;
      expect(await readdir(dir)).not.toContain('file');
      await disk.write({ digest: sha256(bytes), bytes, slices });
    }
    expect(Buffer.compare(await readFile(join(dir, 'file')), Buffer.concat(chunks))).toBe(0);
  });

  test.each([
    ['CHUNK_CORRUPT', 'a chunk that is not what it should be', 'other', 'whole', 'content'],
    ['CHUNK_CORRUPT', 'one piece of many that is not', 'other', 'other', 'content'],
    ['CHUNK_CORRUPT', 'a chunk that is too short', 'con', 'whole', 'content'],
    ['MANIFEST_INVALID', 'a file that is not in the chunk', 'content', 'whole', 'another'],
    ['MANIFEST_INVALID', 'a file that is not its pieces', 'content', 'last', 'another'],
  ] as const)('%s: %s', async (code, _what, came, part, wanted) => {
    const bytes = Buffer.from(came);
    const digest = code === 'CHUNK_CORRUPT' ? sha256(Buffer.from('content')) : sha256(bytes);
    const file = fileOf(Buffer.from(wanted));
    const length = wanted.length === 7 && came === 'other' ? 5 : 7;
    const job = { digest, bytes, slices: [{ file, offset: 0, length, part }] };
    await expect(disk.write(job)).rejects.toMatchObject({ code });
    await disk.drop([{ partial: file.partial, isKept: false }]);
    expect(await readdir(dir)).toEqual([]);
  });

  test('a chunk that is called zeros and has another byte is CHUNK_CORRUPT, not a hole', async () => {
    const bytes = Buffer.alloc(CHUNK_BYTES);
    bytes[7] = 1;
    const file = fileOf(bytes);
    const slices = [{ file, offset: 0, length: CHUNK_BYTES, part: 'other' }] as const;
    const written = disk.write({ digest: ZEROS_DIGEST, bytes, slices });
    await expect(written).rejects.toMatchObject({ code: 'CHUNK_CORRUPT' });
  });

  test('a slice that leaves its chunk is refused by the name of the file', async () => {
    const bytes = Buffer.from('content');
    const slices = [{ file: fileOf(bytes), offset: 3, length: 7, part: 'whole' }] as const;
    await expect(disk.write({ digest: sha256(bytes), bytes, slices })).rejects.toMatchObject({
      code: 'MANIFEST_INVALID',
      message: expect.stringContaining("'some/file'"),
    });
  });

  test('what cannot be written is told by its name, and what was begun can be dropped', async () => {
    const [one, two] = [Buffer.from('one'), Buffer.from('two')];
    const file = fileOf(Buffer.concat([one, two]));
    await disk.write({
      digest: sha256(one),
      bytes: one,
      slices: [{ file, offset: 0, length: 3, part: 'other' }],
    });
    expect(await readdir(dir)).toEqual(['partial']);
    await disk.drop(
      [file.partial, join(dir, 'never-begun')].map((partial) => ({ partial, isKept: false })),
    );
    expect(await readdir(dir)).toEqual([]);
    const nowhere = fileOf(one, { partial: join(dir, 'none/partial') });
    await expect(
      disk.write({
        digest: sha256(one),
        bytes: one,
        slices: [{ file: nowhere, offset: 0, length: 3, part: 'whole' }],
      }),
    ).rejects.toMatchObject({
      code: 'FILE_UNWRITABLE',
      message: expect.stringContaining("'some/file'"),
    });
  });

  const pieceOf = async (path: string, offset: number, length: number): Promise<ReadPiece> => {
    const { size, mtimeMs, ctimeMs } = await stat(join(dir, path));
    return { path, sizeBytes: size, mtimeMs, ctimeMs, offset, length };
  };

  test('whole files are read behind the list of a pack', async () => {
    const contents = [randomBytes(10), randomBytes(100)];
    await mkdir(join(dir, 'sub'));
    await writeFile(join(dir, 'sub/small'), contents[0] ?? '');
    await writeFile(join(dir, 'other'), contents[1] ?? '');
    // A buffer of its own would come back from a thread as it went.
    const target = new Uint8Array(new SharedArrayBuffer(packListBytes(2) + 110));
    const pieces = [await pieceOf('sub/small', 0, 10), await pieceOf('other', 0, 100)];
    const { digest, files } = await disk.read({ send: dir, root: dir, pieces, target });
    expect(files).toEqual(contents.map(sha256));
    const content = target.subarray(packListBytes(2));
    expect(Buffer.compare(content, Buffer.concat(contents))).toBe(0);
    expect(verified(digest, target)).toBe(target);
  });

  test('a cut file is read to its end', async () => {
    const large = randomBytes(100);
    await writeFile(join(dir, 'large'), large);
    const target = new Uint8Array(new SharedArrayBuffer(60));
    const pieces = [await pieceOf('large', 0, 60)];
    const begun = await disk.read({ send: dir, root: dir, pieces, target });
    expect(Buffer.compare(target, large.subarray(0, 60))).toBe(0);
    expect(begun).toEqual({ digest: sha256(target), files: [undefined] });
    const rest = target.subarray(0, 40);
    const last = [await pieceOf('large', 60, 40)];
    expect(await disk.read({ send: dir, root: dir, pieces: last, target: rest })).toEqual({
      digest: sha256(large.subarray(60)),
      files: [sha256(large)],
    });
  });

  test('a file that has been written since, is longer or shorter, is FILE_CHANGED by its name', async () => {
    await writeFile(join(dir, 'file'), 'content');
    const target = new Uint8Array(new SharedArrayBuffer(7));
    const pieces = [await pieceOf('file', 0, 7)];
    await utimes(join(dir, 'file'), 1, 1);
    const changed = {
      code: 'FILE_CHANGED',
      message: expect.stringContaining("'file'"),
    };
    await expect(disk.read({ send: dir, root: dir, pieces, target })).rejects.toMatchObject(
      changed,
    );
    await writeFile(join(dir, 'file'), 'contents');
    // In the same tick of its clock.
    const longer = [{ ...(await pieceOf('file', 0, 7)), sizeBytes: 7 }];
    await expect(disk.read({ send: dir, root: dir, pieces: longer, target })).rejects.toMatchObject(
      changed,
    );
    await writeFile(join(dir, 'file'), 'con');
    await expect(disk.read({ send: dir, root: dir, pieces, target })).rejects.toMatchObject(
      changed,
    );
    await rm(join(dir, 'file'));
    await expect(disk.read({ send: dir, root: dir, pieces, target })).rejects.toMatchObject({
      code: 'FILE_UNREADABLE',
    });
  });

  test.runIf(process.platform === 'linux')(
    'a file below a folder that has become a link to another one is FILE_CHANGED',
    async () => {
      await mkdir(join(dir, 'sub'));
      await writeFile(join(dir, 'sub/file'), 'content');
      const pieces = [await pieceOf('sub/file', 0, 7)];
      await rename(join(dir, 'sub'), join(dir, 'elsewhere'));
      await symlink(join(dir, 'elsewhere'), join(dir, 'sub'));
      const target = new Uint8Array(new SharedArrayBuffer(7));
      await expect(disk.read({ send: dir, root: dir, pieces, target })).rejects.toMatchObject({
        code: 'FILE_CHANGED',
      });
    },
  );

  test('a file that has become a link is not read, however alike what it leads to is', async () => {
    for (const name of ['file', 'secret']) {
      await writeFile(join(dir, name), name.padEnd(7));
      await utimes(join(dir, name), 1, 1);
    }
    const target = new Uint8Array(new SharedArrayBuffer(7));
    const pieces = [await pieceOf('file', 0, 7)];
    await rm(join(dir, 'file'));
    await symlink('secret', join(dir, 'file'));
    await expect(disk.read({ send: dir, root: dir, pieces, target })).rejects.toMatchObject({
      code: 'FILE_UNREADABLE',
      message: "'file' is a symbolic link",
    });
  });

  test('what somebody has put where a half file is to be is neither written nor followed', async () => {
    const bytes = Buffer.from('content');
    const file = fileOf(bytes);
    await writeFile(join(dir, 'theirs'), 'theirs');
    for (const put of [
      () => symlink('theirs', file.partial),
      () => symlink('nothing', file.partial),
      () => link(join(dir, 'theirs'), file.partial),
    ]) {
      await put();
      for (const part of ['whole', 'other'] as const) {
        const slices = [{ file, offset: 0, length: 7, part }];
        await expect(disk.write({ digest: sha256(bytes), bytes, slices })).rejects.toMatchObject({
          code: 'FILE_UNWRITABLE',
        });
      }
      await rm(file.partial);
    }
    expect(await readFile(join(dir, 'theirs'), 'utf8')).toBe('theirs');
    expect(await readdir(dir)).toEqual(['theirs']);
  });

  test('files that were not read to their end are closed', async () => {
    await writeFile(join(dir, 'file'), 'content');
    const target = new Uint8Array(new SharedArrayBuffer(3));
    const first = [await pieceOf('file', 0, 3)];
    await disk.read({ send: dir, root: dir, pieces: first, target });
    const isOpen = async (): Promise<boolean> => {
      const { readlink } = await import('node:fs/promises');
      const fds = await readdir('/proc/self/fd');
      const names = fds.map((fd) => readlink(`/proc/self/fd/${fd}`).catch(() => ''));
      return (await Promise.all(names)).includes(join(dir, 'file'));
    };
    expect(await isOpen()).toBe(true);
    await disk.close(dir);
    expect(await isOpen()).toBe(false);
  });
});

test('a file that has become a pipe is not waited for', async () => {
  const dir = await mkdtemp(join(tmpdir(), 'hanse-disk-'));
  const pipe = join(dir, 'file');
  await promisify(execFile)('mkfifo', [pipe]);
  const pieces = [{ path: 'file', sizeBytes: 7, mtimeMs: 0, ctimeMs: 0, offset: 0, length: 7 }];
  const target = new Uint8Array(new SharedArrayBuffer(7));
  const read = diskThread()
    .read({ send: dir, root: dir, pieces, target })
    .catch((error: unknown) => error);
  const over = new AbortController();
  const waited = pause(15_000, over.signal).then(() => 'it waits for the other end');
  const found = await Promise.race([read, waited]);
  over.abort();
  // Lets go of who waits.
  closeSync(openSync(pipe, constants.O_RDWR | constants.O_NONBLOCK));
  await rm(dir, { recursive: true });
  expect(found).toMatchObject({ code: 'FILE_CHANGED' });
});

test('a thread that nobody uses does not keep its process alive', async () => {
  const disk = new URL('../../../service/staging/disk/disk.ts', import.meta.url).href;
  const program = `(await import('${disk}')).diskThread();`;
  const run = promisify(execFile)(process.execPath, ['--input-type=module', '-e', program], {
    timeout: 50_000,
  });
  await expect(run).resolves.toMatchObject({ stderr: '' });
});

test('a thread walks what fills a hundred MiB with its names', async () => {
  const paths = Array.from({ length: 250_000 }, (_, n) => `${n}-${'x'.repeat(700)}`);
  await expect(diskThread().walk({ root: tmpdir(), paths })).rejects.toMatchObject({
    code: 'PATH_REFUSED',
  });
});
