import { randomBytes } from 'node:crypto';
import { utimesSync, writeFileSync } from 'node:fs';
import { chmod, mkdir, readdir, readFile, rm, stat, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { pino } from 'pino';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { TreeRef } from '../../../core/data/manifest.ts';
import { packListBytes } from '../../../core/data/pack-plan.ts';
import { pause } from '../../../service/background.ts';
import { systemClock } from '../../../service/clock.ts';
import { type CacheKeeper, openCacheKeeper } from '../../../service/staging/cache-keeper.ts';
import { sha256 } from '../../../service/staging/chunk-store.ts';
import { fetchTree } from '../../../service/staging/fetch-tree.ts';
import { openFileCache } from '../../../service/staging/file-cache.ts';
import { letGo, remnantOf } from '../../../service/staging/remnants.ts';
import { remotePart } from '../../../service/staging/sealed.ts';
import { type TreeFixture, treeFixture } from '../../fakes/tree-fixture.ts';

const SIZE = 100_000;
let at: TreeFixture;
let dir: string;
beforeEach(async () => {
  at = await treeFixture();
  dir = join(at.dir, 'cache');
});
afterEach(() => at[Symbol.asyncDispose]());

const keeperOf = (highBytes: number, lowBytes: number, recentMs = 0): CacheKeeper =>
  openCacheKeeper({
    dir,
    bounds: { highBytes, lowBytes },
    recentMs,
    clock: systemClock,
    log: pino({ level: 'silent' }),
  });

/** A tree of one file with a content of its own. */
async function treeOf(name: string): Promise<TreeRef> {
  await at.write(name, randomBytes(SIZE));
  return (await at.send(name)).tree;
}

/** Fetches a tree through the cache into a directory of its own, as a task that then ends would. */
async function run(tree: TreeRef, keeper: CacheKeeper, placement: 'link' | 'copy' = 'copy') {
  const cache = await openFileCache({
    dir: join(dir, 'demo'),
    placement,
    onAdded: (bytes) => keeper.added(bytes),
  });
  const target = join(at.dir, `task-${randomBytes(4).toString('hex')}`);
  const fetched = await fetchTree(at.store, tree, target, { cache });
  await keeper.settled();
  return { ...fetched, target };
}

const age = async (keeper: CacheKeeper, digestPart: string, secondsAgo: number): Promise<void> => {
  const entry = (await keeper.list()).find(({ path }) => path.includes(digestPart));
  const file = join(dir, entry?.path ?? '');
  await utimes(file, Date.now() / 1_000 - secondsAgo, (await stat(file)).mtime);
};

/** The only file of a cache. */
async function onlyFile(keeper: CacheKeeper): Promise<string> {
  const [entry] = await keeper.list();
  return join(dir, entry?.path ?? '');
}

describe('the keeper of a cache', () => {
  test('clears down to the lower bound when the upper one is passed, the longest unused first', async () => {
    const keeper = keeperOf(3 * SIZE, 2 * SIZE, 5_000);
    const trees = [await treeOf('a'), await treeOf('b'), await treeOf('c'), await treeOf('d')];
    const [a, b, c, d] = trees as [TreeRef, TreeRef, TreeRef, TreeRef];
    for (const tree of [a, b, c]) await run(tree, keeper);
    const oldest = (await keeper.list()).map(({ path }) => path);
    expect(oldest).toHaveLength(3);
    for (const [index, path] of oldest.entries())
      await age(keeper, path, [100, 300, 200][index] ?? 0);
    await run(d, keeper);
    const left = (await keeper.list()).map(({ path }) => path);
    expect(left).toHaveLength(2);
    expect(left).toContain(oldest[0]);
    expect(left).not.toContain(oldest[1]);
    expect(left).not.toContain(oldest[2]);
  });

  test('what comes while it is cleared counts', async () => {
    const folder = join(dir, 'demo', '00');
    await mkdir(folder, { recursive: true });
    const write = (digit: number): void => {
      const file = join(folder, String(digit).repeat(64));
      writeFileSync(file, randomBytes(SIZE));
      utimesSync(file, 1_000, 1_000);
    };
    for (const digit of [1, 2, 3, 4]) write(digit);
    const coming = [5, 6, 7];
    // Asked when it has looked at the files, and before it removes any.
    const nowMs = (): number => {
      for (const digit of coming.splice(0)) {
        write(digit);
        keeper.added(SIZE);
      }
      return Date.now();
    };
    const keeper = openCacheKeeper({
      dir,
      bounds: { highBytes: 3 * SIZE, lowBytes: 2 * SIZE },
      clock: { ...systemClock, nowMs },
      log: pino({ level: 'silent' }),
    });
    keeper.added(4 * SIZE);
    await keeper.settled();
    expect(await keeper.list()).toHaveLength(5);
    keeper.added(1);
    await keeper.settled();
    expect(await keeper.list()).toHaveLength(2);
  });

  test('a use makes a file young again', async () => {
    const keeper = keeperOf(10 * SIZE, 10 * SIZE);
    const [a, b] = [await treeOf('a'), await treeOf('b')];
    await run(a, keeper);
    const first = (await keeper.list())[0]?.path ?? '';
    await run(b, keeper);
    await age(keeper, first, 1_000);
    expect((await keeper.list())[0]?.path).toBe(first);
    await run(a, keeper);
    expect((await keeper.list()).at(-1)?.path).toBe(first);
  });

  test('a use needs no look into the file to make it young: a link, or a question, is one', async () => {
    const keeper = keeperOf(10 * SIZE, 10 * SIZE);
    const content = randomBytes(SIZE);
    await at.write('a', content);
    const { tree } = await at.send('a');
    const cache = await openFileCache({ dir: join(dir, 'demo') });
    const file = { digest: sha256(content), sizeBytes: SIZE, mode: 0o644 };
    const usedAgo = async () => Date.now() - ((await keeper.list())[0]?.usedAtMs ?? 0);
    await fetchTree(at.store, tree, join(at.dir, 'first'), { cache });
    for (const use of [
      () => fetchTree(at.store, tree, join(at.dir, 'second'), { cache }),
      () => cache.sizeOf(file),
      () => cache.ask(file),
    ]) {
      await age(keeper, file.digest, 1_000);
      expect(await usedAgo()).toBeGreaterThan(900_000);
      await use();
      expect(await usedAgo()).toBeLessThan(60_000);
    }
  });

  test('never takes what a task holds, and takes it when the task has gone', async () => {
    const keeper = keeperOf(10 * SIZE, 0);
    const { target } = await run(await treeOf('a'), keeper, 'link');
    await new Promise((resolve) => setTimeout(resolve, 20));
    expect(await keeper.prune(0)).toEqual({ files: 0, bytes: 0 });
    await rm(target, { recursive: true });
    expect(await keeper.prune(0)).toEqual({ files: 1, bytes: SIZE });
  });

  test.for(['link', 'copy'] as const)(
    'a file that is evicted while a job takes it is whole there: %s',
    async (placement) => {
      const trees = await Promise.all(['a', 'b', 'c'].map(treeOf));
      // Nothing is too young to be taken.
      const keeper = keeperOf(2 ** 30, 2 ** 30, -60_000);
      const cache = await openFileCache({ dir: join(dir, 'demo'), placement });
      let evicted = 0;
      let isOver = false;
      const evicting = (async () => {
        while (!isOver) evicted += (await keeper.prune(0)).files;
      })();
      for (let round = 0; round < 12; round += 1)
        await Promise.all(
          trees.map(async (tree, number) => {
            const target = join(at.dir, `job-${round}-${number}`);
            await fetchTree(at.store, tree, target, { cache });
            const [name = ''] = await readdir(target);
            const [got, sent] = await Promise.all(
              [target, at.root].map((root) => readFile(join(root, name))),
            );
            expect(got && sent && got.equals(sent)).toBe(true);
            await rm(target, { recursive: true });
          }),
        );
      isOver = true;
      await evicting;
      expect(evicted).toBeGreaterThan(3);
    },
  );

  test('a cache smaller than what one task wants is no endless loop', async () => {
    for (const name of ['a', 'b', 'c']) await at.write(name, randomBytes(SIZE));
    const { tree } = await at.send('a', 'b', 'c');
    const fetched = await run(tree, keeperOf(SIZE, 0, 60_000));
    expect(fetched).toMatchObject({ files: 3, bytesFetched: packListBytes(3) + 3 * SIZE });
  });

  test.for(['link', 'copy'] as const)(
    'a task that wants more than the cache may have, for longer than is recent, fetches it once: %s',
    async (placement) => {
      const big = 3 * 2 ** 19;
      const names = ['a', 'b', 'c', 'd', 'e', 'f'];
      for (const name of names) await at.write(name, randomBytes(big));
      const { tree } = await at.send(...names);
      const keeper = keeperOf(2 * big, big, 50);
      const cache = await openFileCache({
        dir: join(dir, 'demo'),
        placement,
        onAdded: (bytes) => keeper.added(bytes),
      });
      let line = Promise.resolve();
      const receive: typeof at.store.receive = async (digest, signal) => {
        line = line.then(() => pause(40));
        await line;
        return at.store.receive(digest, signal);
      };
      const slow = { ...at.store, receive };
      const { signal } = new AbortController();
      const fetched = await fetchTree(slow, tree, at.target, { cache, signal });
      await keeper.settled();
      expect(fetched).toMatchObject({ files: 6, bytesFetched: 6 * big });
    },
  );

  test('spoiled files are found, taken out and fetched again', async () => {
    const keeper = keeperOf(10 * SIZE, 10 * SIZE);
    const tree = await treeOf('a');
    await run(tree, keeper);
    await spoil(await onlyFile(keeper));
    const looked = await keeper.verify(() => undefined);
    expect(looked).toMatchObject({ files: 1, corrupt: [expect.stringContaining('demo/')] });
    expect(await keeper.list()).toEqual([]);
    const again = await run(tree, keeper);
    expect(again.bytesFetched).toBe(SIZE);
    expect(await keeper.verify(() => undefined)).toEqual({ files: 1, corrupt: [] });
  });

  test('a bit that the disk has flipped is found before a task of the next run sees it', async () => {
    const keeper = keeperOf(10 * SIZE, 10 * SIZE);
    const tree = await treeOf('a');
    await run(tree, keeper);
    await spoil(await onlyFile(keeper));
    const again = await run(tree, keeper);
    expect(again).toMatchObject({ bytesFetched: SIZE, bytesFromCache: 0 });
    expect(await readFile(join(again.target, 'a'))).toEqual(await readFile(join(at.root, 'a')));
  });

  test('what is no cached file is neither listed nor taken', async () => {
    const keeper = keeperOf(10 * SIZE, 0);
    await run(await treeOf('a'), keeper);
    await writeFile(join(dir, 'demo/partial/half'), 'x');
    await writeFile(join(dir, 'demo/note'), 'x');
    await keeper.prune(0);
    expect((await readdir(join(dir, 'demo'))).toSorted()).toContain('note');
    expect(await readdir(join(dir, 'demo/partial'))).toEqual(['half']);
  });

  test('what a gateway that was killed left half done goes for room, and what is being written stays', async () => {
    const keeper = keeperOf(10 * SIZE, 0);
    await run(await treeOf('a'), keeper);
    const written = remnantOf({ digest: '0'.repeat(64) });
    const left = remnantOf({ digest: '1'.repeat(64) }).replace(`-${process.pid}-`, '-999999999-');
    const halves = join(dir, 'demo', 'partial');
    for (const name of [written, left]) await writeFile(join(halves, name), randomBytes(SIZE));
    await utimes(join(halves, left), 1_000, 1_000);
    await new Promise((resolve) => setTimeout(resolve, 20));
    expect(await keeper.list()).toHaveLength(1);
    expect(await keeper.clearable()).toBe(2 * SIZE);
    await keeper.free(SIZE);
    expect(await readdir(halves)).toEqual([written]);
    expect(await keeper.list()).toHaveLength(1);
  });

  test('what a gateway that lives has let go counts, and goes for room; what it writes to stays', async () => {
    const keeper = keeperOf(10 * SIZE, 0);
    const halves = join(dir, 'demo', 'partial');
    await mkdir(halves, { recursive: true });
    // The gateway is another process.
    const [written = '', kept = ''] = ['0', '1'].map((digit) =>
      remnantOf({ digest: digit.repeat(64) }).replace(`-${process.pid}-`, `-${process.ppid}-`),
    );
    for (const name of [written, kept]) await writeFile(join(halves, name), randomBytes(SIZE));
    await letGo(join(halves, kept));
    await new Promise((resolve) => setTimeout(resolve, 20));
    expect(await keeper.clearable()).toBe(SIZE);
    expect(await keeper.prune(0)).toEqual({ files: 1, bytes: SIZE });
    expect(await readdir(halves)).toEqual([written]);
  });

  test('what broke off on its way from elsewhere counts, and goes for room unless somebody goes on with it', async () => {
    const keeper = keeperOf(10 * SIZE, 0);
    const remote = join(dir, 'demo', 'remote');
    await mkdir(remote, { recursive: true });
    const partOf = (digit: string): string => remotePart({ digest: digit.repeat(64) });
    const [left, coming, tried] = [partOf('0'), partOf('1'), partOf('2')];
    for (const name of [left, coming, tried, 'note'])
      await writeFile(join(remote, name), randomBytes(SIZE));
    await utimes(join(remote, left), 1_000, 1_000);
    // One that waits for a server which says nothing.
    const quietS = Date.now() / 1_000 - 60;
    await utimes(join(remote, tried), quietS, quietS);
    expect(await keeper.list()).toEqual([]);
    expect(await keeper.clearable()).toBe(SIZE);
    await keeper.free(3 * SIZE);
    expect((await readdir(remote)).toSorted()).toEqual([coming, tried, 'note'].toSorted());
  });

  test('a cache that was never used is empty', async () => {
    expect(await keeperOf(1, 0).list()).toEqual([]);
    expect(await keeperOf(1, 0).prune(0)).toEqual({ files: 0, bytes: 0 });
  });
});

/** Changes one byte and nothing that `stat` shows, as a failing disk does. */
async function spoil(file: string): Promise<void> {
  const { atime, mtime, mode } = await stat(file);
  const bytes = await readFile(file);
  bytes[7] = (bytes[7] ?? 0) ^ 1;
  await chmod(file, 0o644);
  await writeFile(file, bytes);
  await chmod(file, mode & 0o777);
  await utimes(file, atime, mtime);
}
