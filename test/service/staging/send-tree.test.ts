import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import {
  chmod,
  mkdir,
  readdir,
  readFile,
  readlink,
  rm,
  stat,
  symlink,
  writeFile,
} from 'node:fs/promises';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { EMPTY_TREE } from '../../../core/data/manifest.ts';
import { GridError } from '../../../core/errors.ts';
import type { ChunkStore } from '../../../service/staging/chunk-store.ts';
import { anyDisk } from '../../../service/staging/disk/disk.ts';
import { fetchTree } from '../../../service/staging/fetch-tree.ts';
import { loadManifest, readTreeFile } from '../../../service/staging/read-tree.ts';
import { sendFound, sendTree } from '../../../service/staging/send-tree.ts';
import type { Found } from '../../../service/staging/walk.ts';
import { listing, type TreeFixture, treeFixture } from '../../fakes/tree-fixture.ts';

let at: TreeFixture;
beforeEach(async () => {
  at = await treeFixture();
});
afterEach(() => at[Symbol.asyncDispose]());

describe('a tree that is sent and fetched', () => {
  test('has the same files, modes, empty folders and inner links', async () => {
    await at.write('empty', '');
    await at.write('run.sh', '#!/bin/sh\n', 0o750);
    await at.write('for-all.txt', 'all', 0o666);
    await at.write('a/b/c/deep.txt', 'deep');
    await at.write('large.bin', randomBytes(3 * 2 ** 20 + 17), 0o600);
    await at.write('exact.bin', randomBytes(2 * 2 ** 20));
    await mkdir(join(at.root, 'nothing-here'));
    await chmod(join(at.root, 'a/b'), 0o555);
    await symlink('../run.sh', join(at.root, 'a/script'));
    await symlink('missing', join(at.root, 'dangling'));
    const { tree } = await at.send('.');
    await fetchTree(at.store, tree, at.target);
    expect(await listing(at.target)).toEqual(await listing(at.root));
    await chmod(join(at.root, 'a/b'), 0o755);
    await chmod(join(at.target, 'a/b'), 0o755);
  });

  test('counts its files and bytes', async () => {
    await at.write('a', '12345');
    await at.write('b', '123');
    expect((await at.send('.')).tree).toMatchObject({ files: 2, totalBytes: 8 });
  });

  test('is named by its content alone, however its paths were named', async () => {
    await at.write('x/a', 'A');
    await at.write('x/b', 'B');
    const first = await at.send('x');
    const second = await at.send('x/b', 'x', 'x/a');
    expect(second.tree).toEqual(first.tree);
  });

  test('costs one put and no question when it is small', async () => {
    await at.write('.grid/stdout', 'hello\n');
    await at.write('.grid/stderr', 'a word of warning\n');
    await at.send('.grid');
    expect(at.store.calls).toEqual({ missing: 0, put: 1, get: 0 });
  });

  test('costs nothing when its files are empty', async () => {
    await at.write('a', '');
    await at.write('b', '');
    const { tree } = await at.send('.');
    expect(at.store.calls.put).toBe(0);
    expect(await fetchTree(at.store, tree, at.target)).toMatchObject({ files: 2, bytesFetched: 0 });
    expect((await stat(join(at.target, 'b'))).size).toBe(0);
  });

  test('costs few chunks for many small files, and nothing when it is sent again', async () => {
    for (let n = 0; n < 400; n += 1) await at.write(`d${n % 10}/f${n}`, `${n}`.repeat(500));
    const first = await at.send('.');
    expect(at.store.chunks.size).toBeLessThan(6);
    const again = await at.send('.');
    expect(again).toEqual({
      tree: first.tree,
      sentBytes: 0,
      savedBytes: first.sentBytes,
    });
    await fetchTree(at.store, first.tree, at.target);
    expect(await listing(at.target)).toEqual(await listing(at.root));
  });

  test('is asked about chunk by chunk, but for the list of what the store had not', async () => {
    for (let n = 0; n < 400; n += 1) await at.write(`f${n}`, randomBytes(2_000));
    await at.send('.');
    const { size } = at.store.chunks;
    expect(at.store.calls).toEqual({ missing: size - 1, put: size, get: 0 });
    await at.send('.');
    expect(at.store.calls).toEqual({ missing: 2 * size - 1, put: size, get: 0 });
  });

  test('shares most chunks with the tree before one small file grew', async () => {
    for (let n = 0; n < 400; n += 1) await at.write(`f${n}`, randomBytes(8_000));
    const first = await at.send('.');
    await at.write('f0', randomBytes(9_000));
    const second = await at.send('.');
    expect(second.sentBytes).toBeLessThan(first.sentBytes / 3);
  });

  test('may have a manifest that is larger than a chunk', async () => {
    const deep = `${'d'.repeat(250)}/${'e'.repeat(250)}/${'f'.repeat(250)}`;
    await mkdir(join(at.root, deep), { recursive: true });
    const names = Array.from({ length: 1_200 }, (_, n) => `${'g'.repeat(200)}${n}`);
    await Promise.all(names.map((name) => writeFile(join(at.root, deep, name), '')));
    const { tree } = await at.send('.');
    expect((await loadManifest(at.store, tree)).entries).toHaveLength(1_203);
    const sizes = [...at.store.chunks.values()].map((chunk) => chunk.byteLength);
    expect(sizes).toHaveLength(3);
    expect(Math.max(...sizes)).toBe(2 ** 20);
  });

  test('is sent to a store that was told before its files were looked at', async () => {
    let prepared = 0;
    const store: ChunkStore = {
      ...at.store,
      prepare: () => {
        prepared += 1;
      },
    };
    const nowhere = sendTree(store, { root: join(at.root, 'nowhere'), paths: ['.'] });
    await expect(nowhere).rejects.toMatchObject({ code: 'FILE_UNREADABLE' });
    expect(prepared).toBe(1);
  });

  test('reports progress up to its size', async () => {
    await at.write('a', randomBytes(3 * 2 ** 20));
    const seen: number[] = [];
    const onProgress = ({ doneBytes }: { doneBytes: number }) => seen.push(doneBytes);
    const { tree } = await sendTree(at.store, { root: at.root, paths: ['.'] }, { onProgress });
    expect(seen.at(-1)).toBe(3 * 2 ** 20);
    seen.length = 0;
    await fetchTree(at.store, tree, at.target, { onProgress });
    // Also of a single file.
    expect(seen).toEqual([2 ** 20, 2 * 2 ** 20, 3 * 2 ** 20]);
  });

  test('is given up as a whole where one chunk is', async () => {
    await at.write('large.bin', randomBytes(12 * 2 ** 20));
    let puts = 0;
    const store: ChunkStore = {
      ...at.store,
      put: (_digest, _bytes, signal) => {
        puts += 1;
        if (puts === 3) return Promise.reject(new GridError('STORE_FULL', 'no room'));
        // As one that waits for a store that is away.
        return new Promise((_, reject) =>
          signal?.addEventListener('abort', () => reject(signal.reason), { once: true }),
        );
      },
    };
    const sent = sendTree(store, { root: at.root, paths: ['.'] });
    await expect(sent).rejects.toMatchObject({ code: 'STORE_FULL', message: 'no room' });
  });

  test('gives one file as a stream', async () => {
    const content = randomBytes(2_500_000);
    await at.write('.grid/stdout', content);
    const { tree } = await at.send('.');
    const parts: Uint8Array[] = [];
    for await (const part of readTreeFile(at.store, tree, '.grid/stdout')) parts.push(part);
    expect(Buffer.concat(parts).equals(content)).toBe(true);
  });

  test('is EMPTY_TREE when nothing was named, and fetches as an empty directory', async () => {
    expect((await at.send()).tree).toEqual(EMPTY_TREE);
    await fetchTree(at.store, EMPTY_TREE, at.target);
    expect(await readdir(at.target)).toEqual([]);
  });
});

describe('sending refuses, by name,', () => {
  test.for<[string, string]>([
    ['a link to an absolute path outside', '/etc/passwd'],
    ['a link that climbs out', '../../outside'],
    ['a dangling link that climbs out', '../../nowhere/at/all'],
  ])('%s', async ([, to]) => {
    await mkdir(join(at.root, 'sub'));
    await symlink(to, join(at.root, 'sub/evil'));
    const refusal = { code: 'PATH_REFUSED', message: expect.stringContaining('sub/evil') };
    await expect(at.send('.')).rejects.toMatchObject(refusal);
  });

  test('a path through a link', async () => {
    await symlink('/etc', join(at.root, 'etc'));
    await expect(at.send('etc/passwd')).rejects.toMatchObject({
      code: 'PATH_REFUSED',
      message: expect.stringContaining('etc/passwd'),
    });
  });

  test.for(['../root', '/etc/passwd', 'a//b', './a', 'a/../b', ''])('the path %j', async (path) => {
    await expect(at.send(path)).rejects.toMatchObject({ code: 'PATH_REFUSED' });
  });

  test('a pipe and a socket', async () => {
    execFileSync('mkfifo', [join(at.root, 'pipe')]);
    await expect(at.send('.')).rejects.toMatchObject({
      code: 'PATH_REFUSED',
      message: expect.stringContaining('pipe'),
    });
    await rm(join(at.root, 'pipe'));
    const server = createServer();
    await new Promise<void>((resolve) => server.listen(join(at.root, 'sock'), resolve));
    await expect(at.send('.')).rejects.toMatchObject({ message: expect.stringContaining('sock') });
    server.close();
  });

  test('a file that is not there', async () => {
    await expect(at.send('gone.txt')).rejects.toMatchObject({
      code: 'FILE_UNREADABLE',
      message: expect.stringContaining('gone.txt'),
    });
  });

  test('a name that is not UTF-8', async () => {
    await writeFile(Buffer.concat([Buffer.from(`${at.root}/bad-`), Buffer.from([0xff])]), 'x');
    await expect(at.send('.')).rejects.toMatchObject({
      code: 'PATH_REFUSED',
      message: expect.stringContaining('UTF-8'),
    });
  });

  test('a name that is one with another to some file systems, its letters being put together', async () => {
    await at.write('caf\u00e9', 'composed');
    await at.send('.');
    await at.write('cafe\u0301', 'not composed');
    await expect(at.send('.')).rejects.toMatchObject({
      code: 'PATH_REFUSED',
      message: expect.stringContaining('cafe\u0301'),
    });
  });

  test('a file that is written while it is read', async () => {
    await at.write('growing', randomBytes(40 * 2 ** 20));
    const slow = {
      ...at.store,
      put: async (digest: string, bytes: Uint8Array) => {
        await writeFile(join(at.root, 'growing'), 'tail', { flag: 'a' });
        return at.store.put(digest, bytes);
      },
    };
    await expect(sendTree(slow, { root: at.root, paths: ['.'] })).rejects.toMatchObject({
      code: 'FILE_CHANGED',
      message: expect.stringContaining('growing'),
    });
  });
});

describe('a link inside the tree', () => {
  test('that says its place in a roundabout way is kept as a plain one', async () => {
    await at.write('data/x', 'X');
    await mkdir(join(at.root, 'links'));
    await symlink(join(at.root, 'data/x'), join(at.root, 'links/absolute'));
    await symlink('../data/../data/x', join(at.root, 'links/roundabout'));
    const { tree } = await at.send('.');
    await fetchTree(at.store, tree, at.target);
    expect(await readlink(join(at.target, 'links/absolute'))).toBe('../data/x');
    expect(await readlink(join(at.target, 'links/roundabout'))).toBe('../data/x');
  });
});

describe('what was found and has been written since', () => {
  const found = async (isGrowing: boolean) => {
    await at.write('small', 'abc');
    await at.write('large', randomBytes(2 ** 20 + 10));
    const files = await anyDisk().walk({ root: at.root, paths: ['small', 'large'] });
    return files.map((file): Found => {
      if (file.kind !== 'file' || !isGrowing) return file;
      return { ...file, path: `as/${file.path}`, from: file.path, isGrowing: true };
    });
  };
  const send = (files: readonly Found[]) => sendFound(at.store, at.root, files, {});

  test('is had as long as it was where it may grow, under its name in the tree', async () => {
    const files = await found(true);
    for (const name of ['small', 'large'])
      await writeFile(join(at.root, name), 'more', { flag: 'a' });
    const { tree } = await send(files);
    await fetchTree(at.store, tree, at.target);
    expect(await readFile(join(at.target, 'as/small'), 'utf8')).toBe('abc');
    expect((await stat(join(at.target, 'as/large'))).size).toBe(2 ** 20 + 10);
  });

  test.for([
    ['has grown and may not', false, 'abcd'],
    ['has shrunk', true, 'a'],
  ] as const)('is refused by name where it %s', async ([, isGrowing, content]) => {
    const files = await found(isGrowing);
    await writeFile(join(at.root, 'small'), content);
    await expect(send(files)).rejects.toMatchObject({ code: 'FILE_CHANGED' });
  });
});
