import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { markLedger, noMarks } from '../../../broker/data/sweep-marks.ts';
import { openSweeper, type Sweeper } from '../../../broker/data/sweeper.ts';
import { treeRows } from '../../../broker/jobs/records.ts';
import { GridError } from '../../../core/errors.ts';
import { chunkName } from '../../../service/staging/chunk-cipher.ts';
import { memoryKeeper, treeOf } from '../../fakes/memory-keeper.ts';
import { type OpenBook, openBook } from '../../fakes/open-book.ts';

const HOUR_MS = 3_600_000;
let dir: string;
let book: OpenBook;
let stack: AsyncDisposableStack;
beforeEach(async () => {
  dir = mkdtempSync(join(tmpdir(), 'hanse-sweeper-'));
  stack = new AsyncDisposableStack();
  stack.defer(() => rmSync(dir, { recursive: true }));
  book = stack.use(await openBook(join(dir, 'ledger.db')));
});
afterEach(() => stack.disposeAsync());

type Keepers = Readonly<Record<string, ReturnType<typeof memoryKeeper>>>;

const open = (keepers: Keepers, graceMs = 0, everyMs = HOUR_MS): Sweeper =>
  stack.use(
    openSweeper({
      book,
      accounts: { openKeeper: (vo) => keepers[vo] ?? memoryKeeper() },
      vos: Object.keys(keepers),
      everyMs,
      graceMs,
    }),
  );

test('a clock that is set ahead makes nothing old, and forgets nothing that was taken out', async () => {
  let passedMs = 0;
  let aheadMs = 0;
  const { clock } = book;
  const set = {
    nowMs: () => clock.nowMs() + passedMs + aheadMs,
    monotonicMs: () => clock.monotonicMs() + passedMs,
  };
  book = { ...book, clock: set };
  const demo = memoryKeeper();
  const sweeper = open({ demo }, 60_000);
  const { tree, digest, bytes } = treeOf('an upload under way');
  await demo.store.put(digest, bytes);
  await sweeper.sweep('demo');
  aheadMs = 48 * HOUR_MS;
  expect(await sweeper.sweep('demo')).toEqual({ stored: 1, condemned: 1, removed: 0 });
  passedMs = 61_000;
  expect(await sweeper.sweep('demo')).toEqual({ stored: 1, condemned: 0, removed: 1 });
  aheadMs += 48 * HOUR_MS;
  await sweeper.sweep('demo');
  await expect(sweeper.admit('demo', tree)).rejects.toMatchObject({ code: 'CHUNK_MISSING' });
});

test('a store that cannot be swept keeps no other one from it', async () => {
  const away = new GridError('STAGING_UNAVAILABLE', 'the store does not answer');
  const broken = { ...memoryKeeper(), list: () => Promise.reject(away) };
  const demo = memoryKeeper();
  const { digest, bytes } = treeOf('garbage');
  await demo.store.put(digest, bytes);
  open({ broken, demo }, 0, 20);
  await expect.poll(() => demo.store.chunks.has(digest)).toBe(false);
});

test('while a store is away a tree may be named by its digest, unless the ledger has its manifest', async () => {
  const away = new GridError('STAGING_UNAVAILABLE', 'the store does not answer');
  const demo = memoryKeeper();
  const sweeper = open({
    demo: { ...demo, store: { ...demo.store, get: () => Promise.reject(away) } },
  });
  const { tree } = treeOf('of another VO');
  await book.recorder.record({ trees: treeRows(tree) });
  const { digest } = treeOf('large').tree;
  await sweeper.admit('demo', { digest, totalBytes: 1, files: 1 });
  const bare = { digest: tree.digest, totalBytes: 1, files: 1 };
  await expect(sweeper.admit('demo', bare)).rejects.toBe(away);
});

test('what trees name and the store has not is not remembered, however much it is', async () => {
  const demo = memoryKeeper();
  const [kept, absent] = [treeOf('kept'), treeOf('nowhere')];
  await demo.store.put(kept.digest, kept.bytes);
  await book.recorder.record({ trees: [kept, absent].flatMap(({ tree }) => treeRows(tree)) });
  const marks = noMarks((await demo.list()).names);
  await markLedger(book, demo.store, marks);
  expect(marks.chunks).toEqual(new Set([chunkName(kept.digest)]));
  expect(marks.trees).toEqual(new Set([kept.tree.digest, absent.tree.digest]));
});

test('who names a tree too early takes no name from somebody who has sent it again', async () => {
  const demo = memoryKeeper();
  const sweeper = open({ demo });
  const { tree, digest, bytes } = treeOf('sent by two');
  await demo.store.put(digest, bytes);
  for (let pass = 0; pass < 2; pass += 1) await sweeper.sweep('demo');
  const [asked, answer] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
  demo.store.missing = async (digests) => {
    const found = digests.filter((each) => !demo.store.chunks.has(each));
    asked.resolve();
    if (found.length > 0) await answer.promise;
    return new Set(found);
  };
  const early = sweeper.admit('demo', tree);
  await asked.promise;
  await demo.store.put(digest, bytes);
  await sweeper.admit('demo', tree);
  answer.resolve();
  await expect(early).rejects.toMatchObject({ code: 'CHUNK_MISSING' });
  for (let pass = 0; pass < 3; pass += 1) await sweeper.sweep('demo');
  expect(demo.store.chunks.has(digest)).toBe(true);
});

test('a chunk that is found spoiled while a tree with it is named must be sent again', async () => {
  const keeper = memoryKeeper();
  const { tree, digest, bytes } = treeOf('a tree that somebody names');
  await keeper.store.put(digest, bytes);
  const missing: typeof keeper.store.missing = async (digests) => {
    const absent = await keeper.store.missing(digests);
    keeper.store.chunks.set(digest, Buffer.from('spoiled'));
    expect(await sweeper.heal('demo', [digest])).toMatchObject({ spoiled: [digest] });
    return absent;
  };
  const demo = { ...keeper, store: { ...keeper.store, missing } };
  const sweeper = open({ demo }, HOUR_MS);
  await sweeper.admit('demo', tree);
  expect(sweeper.hold('demo', tree)).toBe(false);
});

test('a broker from which another one has taken over takes nothing out', async () => {
  const demo = memoryKeeper();
  const sweeper = open({ demo });
  const { digest, bytes } = treeOf('what the other one has named meanwhile');
  await demo.store.put(digest, bytes);
  await sweeper.sweep('demo');
  stack.use(await openBook(join(dir, 'ledger.db')));
  await expect(sweeper.sweep('demo')).rejects.toMatchObject({ code: 'STALE_EPOCH' });
  expect(demo.store.chunks.has(digest)).toBe(true);
});

test('others have their turn while the trees of a large ledger are looked at', async () => {
  const demo = memoryKeeper();
  const sweeper = open({ demo });
  const trees = Array.from({ length: 20_000 }, (_, at) => treeOf(`content ${at}`).tree);
  await book.recorder.record({ trees: trees.flatMap(treeRows) });
  let turns = 0;
  const turn = setInterval(() => {
    turns += 1;
  }, 1);
  stack.defer(() => clearInterval(turn));
  await sweeper.sweep('demo');
  expect(turns).toBeGreaterThan(3);
});

test('a broker that is shut each night sweeps what nobody needs, and waits no less than the grace', async () => {
  let passedMs = 0;
  const { clock } = book;
  book = { ...book, clock: { ...clock, nowMs: () => clock.nowMs() + passedMs } };
  const demo = memoryKeeper();
  const { tree, digest, bytes } = treeOf('garbage');
  const kept = treeOf('named meanwhile');
  for (const each of [{ digest, bytes }, kept]) await demo.store.put(each.digest, each.bytes);
  const day = async (atHour: number) => {
    passedMs = atHour * HOUR_MS;
    await using sweeper = open({ demo }, 24 * HOUR_MS);
    if (atHour === 23) await sweeper.admit('demo', kept.tree);
    return await sweeper.sweep('demo');
  };
  expect(await day(0)).toEqual({ stored: 2, condemned: 2, removed: 0 });
  expect(await day(23)).toEqual({ stored: 2, condemned: 1, removed: 0 });
  expect(await day(25)).toEqual({ stored: 2, condemned: 1, removed: 1 });
  expect([...demo.store.chunks.keys()]).toEqual([kept.digest]);
  await using sweeper = open({ demo }, 24 * HOUR_MS);
  await expect(sweeper.admit('demo', tree)).rejects.toMatchObject({ code: 'CHUNK_MISSING' });
});

test('a broker sweeps for the first time ten minutes after its start', async () => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'setInterval', 'clearTimeout', 'clearInterval'] });
  try {
    const demo = memoryKeeper();
    const listed = vi.spyOn(demo, 'list');
    open({ demo }, HOUR_MS, 6 * HOUR_MS);
    await vi.advanceTimersByTimeAsync(599_000);
    expect(listed).not.toHaveBeenCalled();
    await vi.advanceTimersByTimeAsync(1_000);
    await vi.waitFor(() => expect(listed).toHaveBeenCalled(), 30_000);
  } finally {
    vi.useRealTimers();
  }
});
