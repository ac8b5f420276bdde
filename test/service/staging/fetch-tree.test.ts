import { randomBytes } from 'node:crypto';
import {
  chmod,
  mkdir,
  readdir,
  readFile,
  rename,
  statfs,
  symlink,
  writeFile,
} from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { encodeManifest } from '../../../core/data/manifest-codec.ts';
import { sha256 } from '../../../service/staging/chunk-store.ts';
import { fetchTree } from '../../../service/staging/fetch-tree.ts';
import { openFileCache } from '../../../service/staging/file-cache.ts';
import { loadManifest } from '../../../service/staging/read-tree.ts';
import { listing, type TreeFixture, treeFixture } from '../../fakes/tree-fixture.ts';

let at: TreeFixture;
beforeEach(async () => {
  at = await treeFixture();
});
afterEach(() => at[Symbol.asyncDispose]());
const sha = (text: string) => sha256(Buffer.from(text));

describe('fetching', () => {
  test('keeps what is right already and mends what is not', async () => {
    await at.write('a', 'AAAA', 0o640);
    await at.write('b', randomBytes(300_000));
    await at.write('c', randomBytes(300_000));
    const { tree } = await at.send('.');
    await fetchTree(at.store, tree, at.target);
    await writeFile(join(at.target, 'b'), randomBytes(300_000));
    await chmod(join(at.target, 'a'), 0o600);
    const again = await fetchTree(at.store, tree, at.target);
    expect(again.bytesFetched).toBe(300_000);
    expect(await listing(at.target)).toEqual(await listing(at.root));
  });

  test('tells how far it is while files come into a cache, each byte once', async () => {
    const bytes = randomBytes(5_000_000);
    await at.write('a', bytes);
    await at.write('b', bytes);
    await at.write('small', 'small');
    const { tree } = await at.send('.');
    const cache = await openFileCache({ dir: join(at.dir, 'cache') });
    const seen: number[] = [];
    const onProgress = ({ doneBytes }: { readonly doneBytes: number }) => seen.push(doneBytes);
    await fetchTree(at.store, tree, at.target, { cache, onProgress });
    expect(seen.at(-1)).toBe(tree.totalBytes);
    expect(seen).toEqual(seen.toSorted((one, other) => one - other));
    expect(seen.filter((done) => done > 5 && done < 5_000_000).length).toBeGreaterThan(2);
  });

  test('takes the inputs it was asked for, at their new places', async () => {
    await at.write('data/a.csv', 'a');
    await at.write('data/sub/b.csv', 'b');
    await at.write('run.sh', 'r');
    const { tree } = await at.send('.');
    await fetchTree(at.store, tree, at.target, {
      select: [
        { from: 'data', to: 'in' },
        { from: 'run.sh', to: 'bin/go' },
      ],
    });
    const names = await readdir(at.target, { recursive: true });
    expect(names.toSorted()).toEqual(['bin', 'bin/go', 'in', 'in/a.csv', 'in/sub', 'in/sub/b.csv']);
  });

  test('takes only the paths that a test is true of', async () => {
    await at.write('keep/a', 'a');
    await at.write('drop/b', 'b');
    const { tree } = await at.send('.');
    await fetchTree(at.store, tree, at.target, { select: (path) => path.startsWith('keep') });
    expect(await readdir(at.target)).toEqual(['keep']);
  });

  test('leaves no half file behind when a chunk is missing or corrupt', async () => {
    await at.write('large', randomBytes(5 * 2 ** 20));
    const { tree } = await at.send('.');
    const manifest = await loadManifest(at.store, tree);
    const [entry] = manifest.entries;
    const digest = entry?.kind === 'file' ? (entry.slices[3]?.digest ?? '') : '';
    at.store.chunks.set(digest, Buffer.from('wrong'));
    await expect(fetchTree(at.store, tree, at.target)).rejects.toMatchObject({
      code: 'CHUNK_CORRUPT',
    });
    at.store.chunks.delete(digest);
    await expect(fetchTree(at.store, tree, at.target)).rejects.toMatchObject({
      code: 'CHUNK_MISSING',
    });
    expect(await readdir(at.target)).toEqual([]);
  });

  test('refuses a manifest that lies about a file', async () => {
    const content = Buffer.from('true content');
    const chunk = sha256(content);
    await at.store.put(chunk, content);
    const slices = [{ digest: chunk, offset: 0, length: content.byteLength }];
    const lie = {
      kind: 'file',
      path: 'f',
      mode: 0o644,
      sizeBytes: 12,
      digest: sha('x'),
      slices,
    } as const;
    const manifest = encodeManifest({ entries: [lie] });
    const tree = { digest: sha256(manifest), totalBytes: 12, files: 1, manifest };
    await expect(fetchTree(at.store, tree, at.target)).rejects.toMatchObject({
      code: 'MANIFEST_INVALID',
      message: expect.stringContaining("'f'"),
    });
    expect(await readdir(at.target)).toEqual([]);
  });

  test('refuses an inline manifest that is not the one of the tree', async () => {
    const manifest = encodeManifest({ entries: [] });
    const tree = { digest: sha('other'), totalBytes: 0, files: 0, manifest };
    await expect(fetchTree(at.store, tree, at.target)).rejects.toMatchObject({
      code: 'MANIFEST_INVALID',
    });
  });

  test('writes through no link that stands in the target', async () => {
    await at.write('sub/file', 'x');
    await at.write('plain', 'y');
    const { tree } = await at.send('.');
    const outside = join(at.dir, 'outside');
    await mkdir(outside);
    await writeFile(join(outside, 'victim'), 'precious');
    await mkdir(at.target);
    await symlink(join(outside, 'victim'), join(at.target, 'plain'));
    await fetchTree(at.store, tree, at.target, { select: (path) => path === 'plain' });
    expect(await readFile(join(outside, 'victim'), 'utf8')).toBe('precious');
    await symlink(outside, join(at.target, 'sub'));
    await expect(fetchTree(at.store, tree, at.target)).rejects.toMatchObject({
      code: 'PATH_REFUSED',
    });
    expect(await readdir(outside)).toEqual(['victim']);
  });

  test('says which file cannot be written', async () => {
    await at.write('x', 'content');
    const { tree } = await at.send('.');
    await mkdir(join(at.target, 'x/y'), { recursive: true });
    await expect(fetchTree(at.store, tree, at.target)).rejects.toMatchObject({
      code: 'FILE_UNWRITABLE',
      message: expect.stringContaining("'x'"),
    });
    expect(await readdir(at.target)).toEqual(['x']);
  });

  test('ends where the kernel takes no folder, for which the mkdir of Node never does', async () => {
    await at.write('a', 'A');
    const { tree } = await at.send('.');
    await expect(fetchTree(at.store, tree, '/proc/hanse/x')).rejects.toMatchObject({
      code: 'FILE_UNWRITABLE',
    });
  });

  test('stops when it is told to', async () => {
    await at.write('large', randomBytes(20 * 2 ** 20));
    const { tree } = await at.send('.');
    const stop = new AbortController();
    const fetching = fetchTree(
      {
        ...at.store,
        receive: async (digest, signal) => {
          stop.abort();
          signal?.throwIfAborted();
          return at.store.receive(digest);
        },
      },
      tree,
      at.target,
      { signal: stop.signal },
    );
    await expect(fetching).rejects.toThrow('aborted');
    expect(await readdir(at.target)).toEqual([]);
  });
});

describe('where others may write, too,', () => {
  const shared = () => ({ within: at.dir, transfer: 'one' });

  test('a tree arrives as elsewhere, and mends what is there', async () => {
    await at.write('deep/er/a', 'AAAA', 0o640);
    await at.write('b', randomBytes(3_000_000));
    await symlink('deep/er/a', join(at.root, 'link'));
    await chmod(join(at.root, 'deep/er'), 0o555);
    const { tree } = await at.send('.');
    const target = join(at.target, 'x/y');
    await fetchTree(at.store, tree, target, { shared: shared() });
    await writeFile(join(target, 'b'), 'damaged');
    await chmod(join(target, 'deep/er/a'), 0o600);
    await fetchTree(at.store, tree, target, { shared: shared() });
    expect(await listing(target)).toEqual(await listing(at.root));
    await fetchTree(at.store, tree, target, { shared: { within: target, transfer: 'two' } });
    expect(await listing(target)).toEqual(await listing(at.root));
    for (const root of [at.root, target]) await chmod(join(root, 'deep/er'), 0o755);
  });

  test('a folder that becomes a link while it is written leads nothing out', async () => {
    await at.write('sub/deep/small', 'x');
    await at.write('sub/large', randomBytes(3 * 2 ** 20));
    await symlink('large', join(at.root, 'sub/link'));
    const { tree } = await at.send('.');
    const outside = join(at.dir, 'outside');
    await mkdir(join(outside, 'deep'), { recursive: true });
    let swapped = false;
    const swapping = {
      ...at.store,
      receive: async (digest: string) => {
        if (!swapped) {
          swapped = true;
          await rename(join(at.target, 'sub'), join(at.target, 'away'));
          await symlink(outside, join(at.target, 'sub'));
        }
        return at.store.receive(digest);
      },
    };
    await fetchTree(swapping, tree, at.target, { shared: shared() });
    expect(swapped).toBe(true);
    expect(await readdir(outside, { recursive: true })).toEqual(['deep']);
    expect(await listing(join(at.target, 'away'))).toEqual(await listing(join(at.root, 'sub')));
  });

  test('a link on the way to the target is refused', async () => {
    await at.write('file', 'x');
    const { tree } = await at.send('.');
    await mkdir(join(at.dir, 'outside'));
    await symlink(join(at.dir, 'outside'), at.target);
    await expect(
      fetchTree(at.store, tree, join(at.target, 'new'), { shared: shared() }),
    ).rejects.toMatchObject({ code: 'PATH_REFUSED' });
    expect(await readdir(join(at.dir, 'outside'))).toEqual([]);
  });

  test('the half file of a try that was killed is removed by the next, and no other', async () => {
    await at.write('sub/large', randomBytes(5 * 2 ** 20));
    const { tree } = await at.send('.');
    // What a killed process leaves: it neither goes on nor clears up.
    const killed = Promise.withResolvers<Uint8Array>();
    let received = 0;
    const first = fetchTree(
      {
        ...at.store,
        receive: (digest) => ((received += 1) > 2 ? killed.promise : at.store.receive(digest)),
      },
      tree,
      at.target,
      { shared: shared() },
    );
    first.catch(() => undefined);
    const sub = join(at.target, 'sub');
    await expect.poll(() => readdir(sub).catch(() => [])).toHaveLength(1);
    await writeFile(join(sub, '.grid-0123-1.part'), 'of another transfer');
    await fetchTree(at.store, tree, at.target, { shared: shared() });
    expect(await readdir(sub)).toEqual(['.grid-0123-1.part', 'large']);
    killed.reject(new Error('killed'));
    await expect(first).rejects.toThrow('killed');
  });
});

test('names that differ by case only, and names of 255 bytes, arrive', async () => {
  const long = 'é'.repeat(127) + 'x';
  for (const [path, content] of Object.entries({ a: 'low', A: 'up', 'D/f': '1', 'd/f': '2' }))
    await at.write(path, content);
  await at.write(`${long}/${long}`, 'long');
  const { tree } = await at.send('.');
  await fetchTree(at.store, tree, at.target);
  expect(await listing(at.target)).toEqual(await listing(at.root));
  expect(await readdir(at.target)).toHaveLength(5);
});

test('a tree that has no room is refused before anything is fetched', async () => {
  // More than is free, of one chunk that nobody has: with room for it this would end with CHUNK_MISSING.
  const { bfree, bsize } = await statfs(at.dir);
  const files = Math.ceil((bfree * bsize) / 2 ** 30) + 8;
  const slice = { digest: sha('none'), offset: 0, length: 2 ** 20 };
  const slices = Array.from({ length: 2 ** 10 }, () => slice);
  const entries = Array.from({ length: files }, (_, index) => ({
    kind: 'file' as const,
    path: `f${index}`,
    mode: 0o644,
    sizeBytes: 2 ** 30,
    digest: sha(`${index}`),
    slices,
  }));
  const folders = ['d', 'd/e'].map((path) => ({ kind: 'directory' as const, path, mode: 0o755 }));
  const manifest = encodeManifest({ entries: [...folders, ...entries] });
  const tree = { digest: sha256(manifest), totalBytes: files * 2 ** 30, files, manifest };
  await expect(fetchTree(at.store, tree, at.target)).rejects.toMatchObject({
    code: 'DISK_FULL',
    message: expect.stringContaining('nothing was fetched'),
  });
  const deep = join(at.target, 'deep/er');
  const shared = { within: at.dir, transfer: 'one' };
  for (const options of [{}, { shared }])
    await expect(fetchTree(at.store, tree, deep, options)).rejects.toMatchObject({
      code: 'DISK_FULL',
    });
  expect(await readdir(at.dir)).toEqual(['root']);
  await mkdir(join(at.target, 'd'), { recursive: true });
  await expect(fetchTree(at.store, tree, at.target)).rejects.toMatchObject({ code: 'DISK_FULL' });
  expect(await readdir(at.target, { recursive: true })).toEqual(['d']);
}, 60_000);
