import { randomBytes } from 'node:crypto';
import { chmod, mkdir, readdir, readFile, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { encodeManifest } from '../../../core/data/manifest-codec.ts';
import { sha256 } from '../../../service/staging/chunk-store.ts';
import { fetchTree } from '../../../service/staging/fetch-tree.ts';
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
    await writeFile(join(at.target, 'b'), 'damaged');
    await chmod(join(at.target, 'a'), 0o600);
    const again = await fetchTree(at.store, tree, at.target);
    expect(again.bytesFetched).toBe(300_000);
    expect(await listing(at.target)).toEqual(await listing(at.root));
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
