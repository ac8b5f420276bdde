import { readdir, rm, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { TreeRef } from '../../../core/data/manifest.ts';
import { type Clock, systemClock } from '../../../service/clock.ts';
import { openLog } from '../../../service/log.ts';
import { sha256 } from '../../../service/staging/chunk-store.ts';
import { fetchTree } from '../../../service/staging/fetch-tree.ts';
import { openFileCache } from '../../../service/staging/file-cache.ts';
import { loadManifest } from '../../../service/staging/read-tree.ts';
import { openWarmTrees, type WarmTrees } from '../../../site-gateway/staging/warm-trees.ts';
import { type TreeFixture, treeFixture } from '../../fakes/tree-fixture.ts';

let at: TreeFixture;
let cacheDir: string;
let nowMs: number;
beforeEach(async () => {
  at = await treeFixture();
  cacheDir = join(at.dir, 'cache');
  nowMs = 0;
});
afterEach(() => at[Symbol.asyncDispose]());

const clock: Clock = { ...systemClock, monotonicMs: () => nowMs };
const open = (): WarmTrees => openWarmTrees(cacheDir, clock, openLog('test', 'silent'));

/** What there is to see when half a minute has gone. */
async function later(warm: WarmTrees): Promise<readonly string[]> {
  await warm.settled();
  nowMs += 60_000;
  await warm.settled();
  return warm.digests();
}

let trees = 0;
async function stageIn(warm: WarmTrees, vo: string, content: string): Promise<TreeRef> {
  await at.write('a/file', content);
  await at.write('a/same', 'same in all');
  await at.write('empty', '');
  const { tree } = await at.send('.');
  const cache = await openFileCache({ dir: join(cacheDir, vo), placement: 'copy' });
  trees += 1;
  await fetchTree(at.store, tree, `${at.target}${trees}`, { cache });
  warm.remember(vo, tree, await loadManifest(at.store, tree));
  return tree;
}

const forget = async (vo: string): Promise<void> => {
  for (const name of await readdir(join(cacheDir, vo)))
    if (name.length === 2) await rm(join(cacheDir, vo, name), { recursive: true });
};

test('a tree is warm as long as the cache has all of its files, in this process and the next', async () => {
  const warm = open();
  const first = await stageIn(warm, 'biomed', 'one');
  const second = await stageIn(warm, 'physics', 'two');
  const both = [first.digest, second.digest].toSorted();
  expect(warm.digests()).toEqual(both);
  expect(await later(warm)).toEqual(both);
  const next = open();
  expect(await later(next)).toEqual(both);
  await forget('biomed');
  expect(await later(next)).toEqual([second.digest]);
  expect(await later(warm)).toEqual([second.digest]);
  expect(await readdir(join(cacheDir, 'biomed', 'warm'))).toEqual([]);
  await stageIn(next, 'biomed', 'one');
  expect(next.digests()).toEqual(both);
  expect(await later(next)).toEqual(both);
});

test('what was staged in just before the end is warm at the next start, where it is whole', async () => {
  const warm = open();
  await warm.settled();
  const gone = await stageIn(warm, 'physics', 'two');
  const tree = await stageIn(warm, 'biomed', 'one');
  await forget('physics');
  await warm[Symbol.asyncDispose]();
  expect(await readdir(join(cacheDir, 'physics', 'warm'))).toEqual([gone.digest]);
  const next = open();
  await next.settled();
  expect(next.digests()).toEqual([tree.digest]);
  expect(await readdir(join(cacheDir, 'physics', 'warm'))).toEqual([]);
});

test('a look that goes on at the end does nothing more', async () => {
  const warm = open();
  const gone = await stageIn(warm, 'physics', 'two');
  await later(warm);
  await forget('physics');
  nowMs += 60_000;
  const look = warm.settled();
  await Promise.all([warm[Symbol.asyncDispose](), look]);
  expect(await readdir(join(cacheDir, 'physics', 'warm'))).toEqual([gone.digest]);
});

test('of the trees of a site the last 64 are named, and no list of another is kept', async () => {
  const warm = open();
  const staged: string[] = [];
  const tree = await stageIn(warm, 'biomed', 'one');
  const manifest = await loadManifest(at.store, tree);
  for (let n = 0; n < 70; n += 1) {
    const digest = sha256(Buffer.from(`${n}`));
    warm.remember('biomed', { ...tree, digest }, manifest);
    staged.push(digest);
    if (n === 40) await later(warm);
  }
  await later(warm);
  const last = staged.slice(-64).toSorted();
  expect(warm.digests()).toEqual(last);
  expect((await readdir(join(cacheDir, 'biomed', 'warm'))).toSorted()).toEqual(last);
});

test('a list that was lost makes its tree cold, and nothing else', async () => {
  const warm = open();
  const first = await stageIn(warm, 'biomed', 'one');
  const second = await stageIn(warm, 'biomed', 'two');
  await later(warm);
  await rm(join(cacheDir, 'biomed', 'warm', first.digest));
  expect(await later(warm)).toEqual([second.digest]);
});

test('what a crash has left of a list goes, what is being written stays', async () => {
  const warm = open();
  const { digest } = await stageIn(warm, 'biomed', 'one');
  await later(warm);
  const lists = join(cacheDir, 'biomed', 'warm');
  const [old, young] = [`${digest}.1.tmp`, `${digest}.2.tmp`];
  for (const name of [old, young]) await writeFile(join(lists, name), 'half');
  const anHourAgo = new Date(Date.now() - 3_600_000);
  await utimes(join(lists, old), anHourAgo, anHourAgo);
  await later(open());
  expect((await readdir(lists)).toSorted()).toEqual([digest, young]);
});
