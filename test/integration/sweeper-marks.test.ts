import { randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { mkdir, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { openSweeper, type Sweeper } from '../../broker/data/sweeper.ts';
import { treeRows } from '../../broker/jobs/records.ts';
import type { TreeRef } from '../../core/data/manifest.ts';
import { GridError } from '../../core/errors.ts';
import type { ChunkStore } from '../../service/staging/chunk-store.ts';
import { sendTree } from '../../service/staging/send-tree.ts';
import { treeChunks } from '../../service/staging/tree-chunks.ts';
import { startTestNats, type TestNats, testNatsBinary } from '../fakes/nats.ts';
import { type OpenBook, openBook } from '../fakes/open-book.ts';

let dir: string;
let nats: TestNats;
let book: OpenBook;
let sweeper: Sweeper;
let member: ChunkStore & AsyncDisposable;
/** Chunks that the broker cannot read at the moment. */
let unread = new Set<string>();

beforeEach(async () => {
  dir = mkdtempSync(join(tmpdir(), 'hanse-marks-'));
  nats = await startTestNats({ binary: await testNatsBinary(), vos: ['demo'] });
  book = await openBook(join(dir, 'ledger.db'));
  member = nats.open('demo');
  unread = new Set();
  sweeper = openSweeper({
    book,
    accounts: { openKeeper },
    vos: ['demo'],
    everyMs: 3_600_000,
    graceMs: 0,
  });
});
afterEach(async () => {
  await member[Symbol.asyncDispose]();
  await sweeper[Symbol.asyncDispose]();
  await book[Symbol.asyncDispose]();
  await nats[Symbol.asyncDispose]();
  rmSync(dir, { recursive: true });
});

function openKeeper(vo: string) {
  const keeper = nats.accounts.openKeeper(vo);
  const get: ChunkStore['get'] = (digest, signal) =>
    unread.has(digest)
      ? Promise.reject(new GridError('STAGING_UNAVAILABLE', 'the store is away'))
      : keeper.store.get(digest, signal);
  return { ...keeper, store: { ...keeper.store, get } };
}

/** Sends so many files; of 200 the manifest is in the store. */
async function send(files: number): Promise<TreeRef> {
  const root = join(dir, randomBytes(4).toString('hex'));
  await mkdir(root);
  for (let n = 0; n < files; n += 1) await writeFile(join(root, `file-${n}`), randomBytes(100));
  return (await sendTree(member, { root, paths: ['.'] })).tree;
}

const missing = async (tree: TreeRef): Promise<number> =>
  (await member.missing(await treeChunks(member, tree))).size;

test('of a ledger of more trees than are read at once none loses a chunk', async () => {
  const kept = await send(2);
  const dropped = await send(2);
  // Before and behind it in the order of digests; they are gone, and of no chunk.
  const gone = Array.from({ length: 2_500 }, (_, n) => ({
    digest: `${n % 2 === 0 ? '0' : 'f'}${String(n).padStart(63, '0')}`,
    ...{ total_bytes: 0, files: 0, manifest: Buffer.from('gone') },
  }));
  const trees = [...gone, ...treeRows(kept)];
  await book.recorder.record({ trees });
  await sweeper.sweep('demo');
  expect(await sweeper.sweep('demo')).toMatchObject({ removed: 1 });
  expect([await missing(kept), await missing(dropped)]).toEqual([0, 1]);
});

test('a pass that cannot read what a tree needs takes nothing out', async () => {
  const kept = await send(200);
  const dropped = await send(2);
  await book.recorder.record({ trees: treeRows(kept) });
  await sweeper.sweep('demo');
  unread.add(kept.digest);
  for (let pass = 0; pass < 3; pass += 1)
    await expect(sweeper.sweep('demo')).rejects.toMatchObject({ code: 'STAGING_UNAVAILABLE' });
  expect([await missing(kept), await missing(dropped)]).toEqual([0, 0]);
  unread.clear();
  expect(await sweeper.sweep('demo')).toMatchObject({ removed: 1 });
  expect([await missing(kept), await missing(dropped)]).toEqual([0, 1]);
});
