import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { readdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { TreeRef } from '../../../core/data/manifest.ts';
import { GridError } from '../../../core/errors.ts';
import type { ChunkStore } from '../../../service/staging/chunk-store.ts';
import { type FetchTreeOptions, fetchTree } from '../../../service/staging/fetch-tree.ts';
import { type FileCache, openFileCache } from '../../../service/staging/file-cache.ts';
import { type TreeFixture, treeFixture } from '../../fakes/tree-fixture.ts';

const MIB = 2 ** 20;
const CHUNKS = 30;
const bytes = randomBytes(CHUNKS * MIB);
let at: TreeFixture;
let tree: TreeRef;
beforeEach(async () => {
  at = await treeFixture();
  await at.write('large', bytes);
  await at.write('small', 'small');
  ({ tree } = await at.send('.'));
});
afterEach(() => at[Symbol.asyncDispose]());

const halves = async (): Promise<readonly string[]> =>
  (await readdir(at.target)).filter((name) => name.endsWith('.part'));

/** Fetches it, and is cut off when so many chunks have come. */
async function cutOff(after: number, how: FetchTreeOptions = { resumes: true }): Promise<void> {
  const stop = new AbortController();
  let asked = 0;
  const store: ChunkStore = {
    ...at.store,
    receive: async (digest, signal) => {
      asked += 1;
      if (asked === after) stop.abort();
      signal?.throwIfAborted();
      return at.store.receive(digest, signal);
    },
  };
  const fetched = fetchTree(store, tree, at.target, { ...how, signal: stop.signal });
  await expect(fetched).rejects.toThrow('aborted');
}

/** As if the process that wrote it were no more. */
async function leaveAlone(): Promise<string> {
  const [name = ''] = await halves();
  const left = name.replace(`-${process.pid}-`, '-999999999-');
  expect(left).not.toBe(name);
  await rename(join(at.target, name), join(at.target, left));
  return join(at.target, left);
}

const fetchAgain = async (): Promise<number> => {
  const { bytesFetched } = await fetchTree(at.store, tree, at.target, { resumes: true });
  expect(bytes.equals(await readFile(join(at.target, 'large')))).toBe(true);
  return bytesFetched;
};

test('what is there of a large file that was cut off does not come again', async () => {
  await cutOff(25);
  const left = await leaveAlone();
  const { size } = await stat(left);
  expect(size).toBeGreaterThan(2 * MIB);
  expect(await fetchAgain()).toBe(CHUNKS * MIB - size);
  expect((await readdir(at.target)).toSorted()).toEqual(['large', 'small']);
});

test('what somebody has changed of it is fetched', async () => {
  await cutOff(25);
  const left = await leaveAlone();
  const content = await readFile(left);
  content.fill(1, 0, MIB);
  await writeFile(left, content);
  expect(await fetchAgain()).toBe((CHUNKS + 1) * MIB - content.byteLength);
  expect(await halves()).toEqual([]);
});

test('a half file of a process that is alive is left to it', async () => {
  await cutOff(25);
  expect(await fetchAgain()).toBe(CHUNKS * MIB);
  expect(await halves()).toHaveLength(1);
});

test('a half file of another process is left to it until that has ended', async () => {
  await cutOff(25);
  const [name = ''] = await halves();
  const other = spawn('sleep', ['60']);
  const theirs = name.replace(`-${process.pid}-`, `-${other.pid}-`);
  await rename(join(at.target, name), join(at.target, theirs));
  expect(await fetchAgain()).toBe(CHUNKS * MIB);
  expect(await halves()).toEqual([theirs]);
  other.kill();
  await once(other, 'exit');
  await rm(join(at.target, 'large'));
  expect(await fetchAgain()).toBeLessThan(CHUNKS * MIB);
  expect(await halves()).toEqual([]);
});

test('nothing stays where the tree is at fault, or nobody goes on', async () => {
  const lost = [...at.store.chunks.keys()].at(-2) ?? '';
  const chunk = at.store.chunks.get(lost) ?? Buffer.of();
  at.store.chunks.delete(lost);
  const fetched = fetchTree(at.store, tree, at.target, { resumes: true });
  await expect(fetched).rejects.toMatchObject({ code: 'CHUNK_MISSING' });
  expect(await halves()).toEqual([]);
  at.store.chunks.set(lost, chunk);
  await cutOff(25, {});
  expect(await halves()).toEqual([]);
});

test('of what two tries have left the larger is used, and both go', async () => {
  await cutOff(18);
  await leaveAlone();
  const small = await halves();
  const [name = ''] = small;
  const half = await readFile(join(at.target, name));
  const more = name.replace(/-[0-9a-f]{12}\.part$/, '-ffffffffffff.part');
  await writeFile(join(at.target, more), bytes.subarray(0, 20 * MIB));
  expect(half.byteLength).toBeLessThan(20 * MIB);
  expect(await fetchAgain()).toBe(10 * MIB);
  expect(await halves()).toEqual([]);
});

test('what the first process of a container left is known by the next, which has its number', async () => {
  await cutOff(25);
  const [name = ''] = await halves();
  const left = name.replace(/-[0-9a-f]{12}\.part$/, '-000000000000.part');
  await rename(join(at.target, name), join(at.target, left));
  const { size } = await stat(join(at.target, left));
  expect(await fetchAgain()).toBe(CHUNKS * MIB - size);
  expect(await halves()).toEqual([]);
});

test('what a cache had of a large file stays for the process that goes on, and for no other end', async () => {
  const dir = join(at.dir, 'cache');
  const cache = await openFileCache({ dir });
  await cutOff(25, { cache, isTriedAgain: () => false });
  expect(await readdir(cache.partials)).toEqual([]);
  await cutOff(25, { cache, isTriedAgain: () => true });
  const [name = ''] = await readdir(cache.partials);
  const left = name.replace(`-${process.pid}-`, '-999999999-');
  await rename(join(cache.partials, name), join(cache.partials, left));
  const { size } = await stat(join(cache.partials, left));
  expect(size).toBeGreaterThan(2 * MIB);
  const fresh = await openFileCache({ dir });
  const { bytesFetched } = await fetchTree(at.store, tree, at.target, { cache: fresh });
  expect(bytesFetched).toBe(CHUNKS * MIB - size);
  expect(bytes.equals(await readFile(join(at.target, 'large')))).toBe(true);
  expect(await readdir(cache.partials)).toEqual([]);
});

test('what a cache had of a large file when the store went away serves the next try of the same process', async () => {
  const cache = await openFileCache({ dir: join(at.dir, 'cache') });
  let asked = 0;
  const away: ChunkStore = {
    ...at.store,
    receive: (digest, signal) => {
      asked += 1;
      if (asked < 25) return at.store.receive(digest, signal);
      throw new GridError('STAGING_UNAVAILABLE', 'the store does not answer');
    },
  };
  const fetched = fetchTree(away, tree, at.target, { cache, isTriedAgain: () => true });
  await expect(fetched).rejects.toThrow('the store does not answer');
  const [name = ''] = await readdir(cache.partials);
  const { size } = await stat(join(cache.partials, name));
  expect(size).toBeGreaterThan(2 * MIB);
  const { bytesFetched } = await fetchTree(at.store, tree, at.target, { cache });
  expect(bytesFetched).toBe(CHUNKS * MIB - size);
  expect(bytes.equals(await readFile(join(at.target, 'large')))).toBe(true);
  expect(await readdir(cache.partials)).toEqual([]);
});

test('what a cache had of a large file serves who waits for it when the first is cut off', async () => {
  const cache = await openFileCache({ dir: join(at.dir, 'cache') });
  const [begun, awaited] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
  const stop = new AbortController();
  let asked = 0;
  const receive: ChunkStore['receive'] = async (digest, signal) => {
    asked += 1;
    if (asked === 3) begun.resolve();
    if (asked === 25) await awaited.promise.then(() => stop.abort());
    signal?.throwIfAborted();
    return at.store.receive(digest, signal);
  };
  const first = fetchTree({ ...at.store, receive }, tree, at.target, {
    cache,
    signal: stop.signal,
    isTriedAgain: () => false,
  });
  await begun.promise;
  const asking: FileCache = {
    ...cache,
    ask: async (file) => {
      const answer = await cache.ask(file);
      if (answer.kind === 'filling') awaited.resolve();
      return answer;
    },
  };
  const others = ['second', 'third'].map((name) =>
    fetchTree(at.store, tree, join(at.dir, name), { cache: asking }),
  );
  await expect(first).rejects.toThrow('aborted');
  const fetched = await Promise.all(others);
  const came = fetched.reduce((sum, { bytesFetched }) => sum + bytesFetched, 0);
  expect(came).toBeLessThan((CHUNKS - 2) * MIB);
  for (const name of ['second', 'third'])
    expect(bytes.equals(await readFile(join(at.dir, name, 'large')))).toBe(true);
  expect(await readdir(cache.partials)).toEqual([]);
});

test('what a cache keeps of a large file counts, so that whoever bounds the cache knows of it', async () => {
  const added: number[] = [];
  const cache = await openFileCache({
    dir: join(at.dir, 'cache'),
    onAdded: (size) => void added.push(size),
  });
  await cutOff(25, { cache, isTriedAgain: () => false });
  const without = added.splice(0);
  for (const made of ['cache', 'target']) await rm(join(at.dir, made), { recursive: true });
  await cutOff(25, { cache, isTriedAgain: () => true });
  const [name = ''] = await readdir(cache.partials);
  const { size } = await stat(join(cache.partials, name));
  expect(size).toBeGreaterThan(2 * MIB);
  await expect.poll(() => added).toEqual([...without, size]);
});

test('where others may write, what a try left is of use to the next one of the same transfer alone', async () => {
  const shared = (transfer: string, isTriedAgain: boolean) => ({
    shared: { within: at.dir, transfer, isTriedAgain: () => isTriedAgain },
    resumes: true,
  });
  const fetchAs = async (transfer: string): Promise<number> =>
    (await fetchTree(at.store, tree, at.target, shared(transfer, false))).bytesFetched;
  await cutOff(25, shared('given up', false));
  expect(await halves()).toEqual([]);
  await cutOff(25, shared('one', true));
  const [name = ''] = await halves();
  const { size } = await stat(join(at.target, name));
  expect(size).toBeGreaterThan(2 * MIB);
  expect(await fetchAs('other')).toBe(CHUNKS * MIB);
  expect(await halves()).toEqual([name]);
  await rm(join(at.target, 'large'));
  expect(await fetchAs('one')).toBe(CHUNKS * MIB - size);
  expect(bytes.equals(await readFile(join(at.target, 'large')))).toBe(true);
  expect((await readdir(at.target)).toSorted()).toEqual(['large', 'small']);
});

test('what is left of a file that is there is cleared', async () => {
  await cutOff(25);
  const left = await leaveAlone();
  await writeFile(join(at.target, 'large'), bytes);
  expect(await fetchAgain()).toBe(0);
  expect(await halves()).toEqual([]);
  expect(left).toContain('.part');
});
