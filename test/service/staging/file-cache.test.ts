import { randomBytes } from 'node:crypto';
import {
  chmod,
  link,
  lstat,
  mkdir,
  readdir,
  readFile,
  rm,
  stat,
  utimes,
  writeFile,
} from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { packListBytes } from '../../../core/data/pack-plan.ts';
import { sha256 } from '../../../service/staging/chunk-store.ts';
import { fetchTree } from '../../../service/staging/fetch-tree.ts';
import { type FileCache, openFileCache } from '../../../service/staging/file-cache.ts';
import { remnantOf } from '../../../service/staging/remnants.ts';
import { type TreeFixture, treeFixture } from '../../fakes/tree-fixture.ts';

let at: TreeFixture;
beforeEach(async () => {
  at = await treeFixture();
});
afterEach(() => at[Symbol.asyncDispose]());
const modeOf = async (path: string) => (await lstat(join(at.target, path))).mode & 0o777;

describe('the cache of a site', () => {
  test('fetches a file once for many tasks at a time', async () => {
    await at.write('input', randomBytes(3 * 2 ** 20));
    await at.write('a/small', 'small');
    await at.write('b/small', 'small');
    const { tree } = await at.send('.');
    const cache = await openFileCache({ dir: join(at.dir, 'cache') });
    const runs = await Promise.all(
      Array.from({ length: 20 }, (_, n) =>
        fetchTree(at.store, tree, `${at.target}-${n}`, { cache }),
      ),
    );
    const fetched = runs.reduce((sum, { bytesFetched }) => sum + bytesFetched, 0);
    expect(fetched).toBe(3 * 2 ** 20 + packListBytes(2) + 10);
    expect(at.store.calls.get).toBe(4);
    expect(await readFile(`${at.target}-19/b/small`, 'utf8')).toBe('small');
    expect((await stat(`${at.target}-7/input`)).nlink).toBe(21);
  });

  test('gives read-only links, or copies of the right mode', async () => {
    await at.write('run.sh', 'x', 0o755);
    await at.write('data', 'y', 0o644);
    const { tree } = await at.send('.');
    await fetchTree(at.store, tree, at.target, {
      cache: await openFileCache({ dir: join(at.dir, 'one') }),
    });
    expect([await modeOf('run.sh'), await modeOf('data')]).toEqual([0o555, 0o444]);
    await rm(at.target, { recursive: true });
    const cache = await openFileCache({ dir: join(at.dir, 'two'), placement: 'copy' });
    await fetchTree(at.store, tree, at.target, { cache });
    expect([await modeOf('run.sh'), await modeOf('data')]).toEqual([0o755, 0o644]);
  });

  test('gives copies to who asks for them, and links to others', async () => {
    await at.write('data', 'y', 0o644);
    const { tree } = await at.send('.');
    const cache = await openFileCache({ dir: join(at.dir, 'cache') });
    await fetchTree(at.store, tree, at.target, { cache: cache.copying() });
    await writeFile(join(at.target, 'data'), 'mine');
    const others = `${at.target}-2`;
    expect(await fetchTree(at.store, tree, others, { cache })).toMatchObject({ bytesFetched: 0 });
    expect(await readFile(join(others, 'data'), 'utf8')).toBe('y');
    expect((await stat(join(others, 'data'))).nlink).toBe(2);
    expect([await modeOf('data'), cache.copies, cache.copying().copies]).toEqual([
      0o644,
      false,
      true,
    ]);
  });

  test('links what is warm in the place of what is there, and leaves alone what it cannot replace', async () => {
    for (const name of ['a', 'b', 'c']) await at.write(name, `content of ${name}`);
    const { tree } = await at.send('.');
    const cache = await openFileCache({ dir: join(at.dir, 'cache') });
    await fetchTree(at.store, tree, at.target, { cache });
    const calls = at.store.calls.get;
    const second = join(at.dir, 'second');
    await mkdir(second);
    await writeFile(join(second, 'a'), 'another');
    await link(join(at.target, 'b'), join(second, 'b'));
    expect(await fetchTree(at.store, tree, second, { cache })).toMatchObject({ bytesFetched: 0 });
    expect(await readdir(second)).toEqual(['a', 'b', 'c']);
    expect(await readFile(join(second, 'a'), 'utf8')).toBe('content of a');
    expect((await stat(join(second, 'a'))).nlink).toBe(3);

    const third = join(at.dir, 'third');
    await mkdir(join(third, 'a', 'full'), { recursive: true });
    await expect(fetchTree(at.store, tree, third, { cache })).rejects.toMatchObject({
      code: 'FILE_UNWRITABLE',
      message: expect.stringContaining("'a' is in the way"),
    });
    expect((await readdir(third)).filter((name) => name.endsWith('.part'))).toEqual([]);
    expect(at.store.calls.get).toBe(calls);
  });

  test('does not give on what a task has written through its link', async () => {
    await at.write('data', 'good');
    const { tree } = await at.send('.');
    const cache = await openFileCache({ dir: join(at.dir, 'cache') });
    await fetchTree(at.store, tree, at.target, { cache });
    await chmod(join(at.target, 'data'), 0o644);
    await writeFile(join(at.target, 'data'), 'evil');
    await chmod(join(at.target, 'data'), 0o444);
    const second = await fetchTree(at.store, tree, `${at.target}-2`, { cache });
    expect(await readFile(`${at.target}-2/data`, 'utf8')).toBe('good');
    expect(second.bytesFromCache).toBe(0);
  });

  test('does not give on what a task has made writable, or not executable, through its link', async () => {
    await at.write('data', 'good');
    await at.write('run.sh', 'x', 0o755);
    const { tree } = await at.send('.');
    const cache = await openFileCache({ dir: join(at.dir, 'cache') });
    await fetchTree(at.store, tree, at.target, { cache });
    for (const name of ['data', 'run.sh']) await chmod(join(at.target, name), 0o666);
    await rm(at.target, { recursive: true });
    await fetchTree(at.store, tree, at.target, { cache });
    expect([await modeOf('run.sh'), await modeOf('data')]).toEqual([0o555, 0o444]);
  });

  test('goes on when somebody has removed all that was in it', async () => {
    await at.write('data', randomBytes(1_000));
    const { tree } = await at.send('.');
    const cache = await openFileCache({ dir: join(at.dir, 'cache') });
    await fetchTree(at.store, tree, at.target, { cache });
    await rm(join(at.dir, 'cache'), { recursive: true });
    const again = await fetchTree(at.store, tree, `${at.target}-2`, { cache });
    expect(again).toMatchObject({ files: 1, bytesFetched: 1_000 });
  });

  test('lets another one try when the first fetch fails', async () => {
    await at.write('data', randomBytes(1_000));
    const { tree } = await at.send('.');
    const cache = await openFileCache({ dir: join(at.dir, 'cache') });
    const begun = Promise.withResolvers<void>();
    const cut = Promise.withResolvers<never>();
    const failing = {
      ...at.store,
      receive: () => {
        begun.resolve();
        return cut.promise;
      },
    };
    const first = fetchTree(failing, tree, at.target, { cache });
    await begun.promise;
    const second = fetchTree(at.store, tree, `${at.target}-2`, { cache });
    cut.reject(new Error('cut off'));
    await expect(first).rejects.toThrow('cut off');
    expect(await second).toMatchObject({ files: 1, bytesFetched: 1_000 });
  });

  test('a fetch that is stopped while it places its files does not wait for those of another', async () => {
    const theirs = randomBytes(1_000);
    await at.write('ours', 'small');
    await at.write('theirs', theirs);
    const { tree } = await at.send('.');
    const cache = await openFileCache({ dir: join(at.dir, 'cache') });
    const file = { digest: sha256(theirs), sizeBytes: theirs.length, mode: 0o644 };
    expect(await cache.ask(file)).toMatchObject({ kind: 'fill' });
    const stop = new AbortController();
    const stopped: FileCache = {
      ...cache,
      place: async (what, target, signal) => {
        const placed = await cache.place(what, target, signal);
        stop.abort();
        expect(signal?.aborted).toBe(true);
        return placed;
      },
    };
    const fetching = fetchTree(at.store, tree, at.target, { cache: stopped, signal: stop.signal });
    await expect(fetching).rejects.toThrow('aborted');
  });

  test('goes on from what a process that was killed left of a large file', async () => {
    const bytes = randomBytes(6 * 2 ** 20);
    await at.write('data', bytes);
    const { tree } = await at.send('.');
    const partials = join(at.dir, 'cache/partial');
    const digest = sha256(bytes);
    const name = remnantOf({ digest }).replace(`-${process.pid}-`, '-999999999-');
    await mkdir(partials, { recursive: true });
    await writeFile(join(partials, name), bytes.subarray(0, 4 * 2 ** 20 + 100));
    const cache = await openFileCache({ dir: join(at.dir, 'cache') });
    const fetched = await fetchTree(at.store, tree, at.target, { cache });
    expect(fetched).toMatchObject({ bytesFetched: 2 * 2 ** 20 });
    expect(bytes.equals(await readFile(join(at.target, 'data')))).toBe(true);
    expect(await readdir(partials)).toEqual([]);
  });

  test('survives a restart and clears what was half done', async () => {
    await at.write('data', 'kept');
    const { tree } = await at.send('.');
    const first = await openFileCache({ dir: join(at.dir, 'cache') });
    await fetchTree(at.store, tree, at.target, { cache: first });
    await writeFile(join(at.dir, 'cache/partial/left-over'), 'x');
    const cache = await openFileCache({ dir: join(at.dir, 'cache') });
    expect(await readdir(join(at.dir, 'cache/partial'))).toEqual([]);
    const warm = await fetchTree(at.store, tree, `${at.target}-2`, { cache });
    expect(warm).toMatchObject({ bytesFetched: 0, bytesFromCache: 4 });
  });

  test('keeps what a killed process left of large files for a day', async () => {
    const partials = join(at.dir, 'cache/partial');
    await mkdir(partials, { recursive: true });
    const names = ['old', 'young'].map((content) =>
      remnantOf({ digest: sha256(Buffer.from(content)) }).replace(
        `-${process.pid}-`,
        '-999999999-',
      ),
    );
    for (const [index, hours] of [25, 23].entries()) {
      const place = join(partials, names[index] ?? '');
      await writeFile(place, randomBytes(2 * 2 ** 20));
      const wrote = Date.now() / 1_000 - hours * 3_600;
      await utimes(place, wrote, wrote);
    }
    await openFileCache({ dir: join(at.dir, 'cache') });
    expect(await readdir(partials)).toEqual([names[1]]);
  });

  test('that cannot clear the place of a file says so to all who want it', async () => {
    await at.write('input', 'content');
    const { tree } = await at.send('.');
    const dir = join(at.dir, 'cache');
    const digest = sha256(Buffer.from('content'));
    await mkdir(join(dir, digest.slice(0, 2), digest), { recursive: true });
    const cache = await openFileCache({ dir });
    for (let tries = 0; tries < 2; tries += 1)
      await expect(fetchTree(at.store, tree, at.target, { cache })).rejects.toThrow(digest);
  });
});
