import { randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { mkdir, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { openSweeper, type Sweeper } from '../../broker/data/sweeper.ts';
import { treeRows } from '../../broker/jobs/records.ts';
import type { TreeRef } from '../../core/data/manifest.ts';
import type { Clock } from '../../service/clock.ts';
import { type ChunkStore, sha256 } from '../../service/staging/chunk-store.ts';
import { sendTree } from '../../service/staging/send-tree.ts';
import { treeChunks } from '../../service/staging/tree-chunks.ts';
import { natsServers, startTestNats, type TestNats } from '../fakes/nats.ts';
import { type OpenBook, openBook } from '../fakes/open-book.ts';

const SERVERS = await natsServers();

describe.each(SERVERS)('the sweeper on $name', ({ path }) => {
  let dir: string;
  let nats: TestNats;
  let book: OpenBook;
  let sweeper: Sweeper;
  let member: ChunkStore & AsyncDisposable;
  beforeEach(async () => {
    dir = mkdtempSync(join(tmpdir(), 'hanse-sweep-'));
    nats = await startTestNats({ binary: path, vos: ['demo', 'other'] });
    book = await openBook(join(dir, 'ledger.db'));
    aheadMs = 0;
    sweeper = open(0);
    member = nats.open('demo');
  });
  afterEach(async () => {
    await member[Symbol.asyncDispose]();
    await sweeper[Symbol.asyncDispose]();
    await book[Symbol.asyncDispose]();
    await nats[Symbol.asyncDispose]();
    rmSync(dir, { recursive: true });
  });

  /** How much time has passed that nobody waited for. */
  let aheadMs = 0;
  const laterClock = (): Clock => ({
    nowMs: () => book.clock.nowMs() + aheadMs,
    monotonicMs: () => book.clock.monotonicMs() + aheadMs,
  });
  const open = (graceMs: number): Sweeper =>
    openSweeper({
      book: { ...book, clock: laterClock() },
      accounts: nats.accounts,
      vos: ['demo', 'other'],
      everyMs: 3_600_000,
      graceMs,
    });
  let count = 0;
  const send = async (bytes: Uint8Array): Promise<TreeRef> => {
    count += 1;
    const root = join(dir, `root-${count}`);
    await mkdir(root);
    await writeFile(join(root, 'file'), bytes);
    return (await sendTree(member, { root, paths: ['.'] })).tree;
  };
  const name = (tree: TreeRef): Promise<void> => book.recorder.record({ trees: treeRows(tree) });
  const missing = async (tree: TreeRef): Promise<number> =>
    (await member.missing(await treeChunks(member, tree))).size;

  test('takes out what no tree names, on the second look, and leaves the rest', async () => {
    const kept = await send(randomBytes(2_500_000));
    const dropped = await send(randomBytes(2_500_000));
    await name(kept);
    expect(await sweeper.sweep('demo')).toEqual({ stored: 6, condemned: 3, removed: 0 });
    expect(await sweeper.sweep('demo')).toEqual({ stored: 6, condemned: 0, removed: 3 });
    expect([await missing(kept), await missing(dropped)]).toEqual([0, 3]);
    expect(await sweeper.sweep('demo')).toEqual({ stored: 3, condemned: 0, removed: 0 });
  });

  test('a tree with a manifest of its own in the store keeps that, too', async () => {
    const root = join(dir, 'many');
    await mkdir(root);
    for (let at = 0; at < 200; at += 1) await writeFile(join(root, `file-${at}`), `${at}`);
    const { tree } = await sendTree(member, { root, paths: ['.'] });
    expect(tree.manifest).toBeUndefined();
    await name(tree);
    await sweeper.sweep('demo');
    expect(await sweeper.sweep('demo')).toMatchObject({ condemned: 0, removed: 0 });
    expect(await missing(tree)).toBe(0);
  });

  test('what shares chunks with a live tree loses only its own', async () => {
    const shared = randomBytes(1_048_576);
    const kept = await send(Buffer.concat([shared, randomBytes(1_048_576)]));
    const dropped = await send(Buffer.concat([shared, randomBytes(1_048_576)]));
    await name(kept);
    await sweeper.sweep('demo');
    expect(await sweeper.sweep('demo')).toMatchObject({ removed: 1 });
    expect([await missing(kept), await missing(dropped)]).toEqual([0, 1]);
  });

  test('who has only the digest of a small tree gets no manifest from the ledger, and does not learn that it is there', async () => {
    const tree = await send(randomBytes(100));
    await name(tree);
    for (const digest of [tree.digest, sha256(randomBytes(100))]) {
      const bare = { digest, totalBytes: tree.totalBytes, files: tree.files };
      await expect(sweeper.admit('other', bare)).rejects.toMatchObject({
        code: 'CHUNK_MISSING',
        message: `the store has no chunk ${digest}`,
      });
    }
    await sweeper.admit('demo', tree);
  });

  test('a tree that is named between two passes is safe', async () => {
    const tree = await send(randomBytes(1_000_000));
    await sweeper.sweep('demo');
    await sweeper.admit('demo', tree);
    expect(await sweeper.sweep('demo')).toMatchObject({ removed: 0 });
    expect(await missing(tree)).toBe(0);
  });

  test('a tree that was named long ago and is not in the ledger is forgotten before the next pass', async () => {
    const [old, young] = [await send(randomBytes(1_000_000)), await send(randomBytes(1_000_000))];
    await sweeper.admit('demo', old, 'gateway');
    aheadMs = 601_000;
    await sweeper.admit('demo', young, 'gateway');
    expect(await sweeper.sweep('demo')).toEqual({ stored: 2, condemned: 1, removed: 0 });
    expect(await sweeper.sweep('demo')).toEqual({ stored: 2, condemned: 0, removed: 1 });
    expect([await missing(old), await missing(young)]).toEqual([1, 0]);
  });

  test('who names a tree that was swept meanwhile is told so, and may send it again', async () => {
    const bytes = randomBytes(1_000_000);
    const tree = await send(bytes);
    await sweeper.sweep('demo');
    await sweeper.sweep('demo');
    await expect(sweeper.admit('demo', tree)).rejects.toMatchObject({ code: 'CHUNK_MISSING' });
    const again = await send(bytes);
    await sweeper.admit('demo', again);
    await name(again);
    await sweeper.sweep('demo');
    await sweeper.sweep('demo');
    expect(await missing(again)).toBe(0);
  });

  test('what was taken out and is sent again waits as long as what is new', async () => {
    await sweeper[Symbol.asyncDispose]();
    sweeper = open(60_000);
    const bytes = randomBytes(1_000_000);
    const tree = await send(bytes);
    await sweeper.sweep('demo');
    aheadMs += 61_000;
    expect(await sweeper.sweep('demo')).toEqual({ stored: 1, condemned: 0, removed: 1 });
    // An upload that is under way when the next pass begins.
    await send(bytes);
    expect(await sweeper.sweep('demo')).toEqual({ stored: 1, condemned: 1, removed: 0 });
    expect(await missing(tree)).toBe(0);
  });

  test('live outputs that others took the place of wait an hour, and what else nobody names a day', async () => {
    await sweeper[Symbol.asyncDispose]();
    sweeper = open(24 * 3_600_000);
    const [old, now, upload] = [
      await send(randomBytes(2_500_000)),
      await send(randomBytes(2_500_000)),
      await send(randomBytes(1_000_000)),
    ];
    await sweeper.admit('demo', old, 'live');
    await sweeper.admit('demo', now, 'live');
    await name(now);
    aheadMs += 601_000;
    // They are in the ledger, or never will be: this pass forgets that they were named.
    await sweeper.sweep('demo');
    expect(await sweeper.sweep('demo')).toEqual({ stored: 7, condemned: 4, removed: 0 });
    aheadMs += 3_500_000;
    expect(await sweeper.sweep('demo')).toMatchObject({ condemned: 4, removed: 0 });
    aheadMs += 101_000;
    expect(await sweeper.sweep('demo')).toEqual({ stored: 7, condemned: 1, removed: 3 });
    expect([await missing(old), await missing(now), await missing(upload)]).toEqual([3, 0, 0]);
    // The latest state goes the same way, hours after it was named.
    await book.db.deleteFrom('trees').execute();
    await sweeper.sweep('demo');
    aheadMs += 3_601_000;
    expect(await sweeper.sweep('demo')).toMatchObject({ condemned: 1, removed: 3 });
    await expect(sweeper.admit('demo', old, 'gateway')).rejects.toMatchObject({
      code: 'CHUNK_MISSING',
    });
  });

  test('trees are named and swept at the same time, and none that is named loses a chunk', async () => {
    const named: TreeRef[] = [];
    let stop = false;
    const sweeping = (async () => {
      while (!stop) await sweeper.sweep('demo');
    })();
    const contents = Array.from({ length: 6 }, () => randomBytes(30_000));
    for (let at = 0; at < 60; at += 1) {
      const bytes = contents[at % contents.length] ?? new Uint8Array();
      const tree = await send(bytes);
      const admitted = await sweeper.admit('demo', tree).then(
        () => true,
        () => false,
      );
      if (admitted) {
        await name(tree);
        named.push(tree);
      }
    }
    stop = true;
    await sweeping;
    expect(named.length).toBeGreaterThan(10);
    for (const tree of named) expect(await missing(tree)).toBe(0);
  });

  test('for a while after a start it asks for every chunk of a new tree', async () => {
    const bytes = randomBytes(1_000_000);
    const tree = await send(bytes);
    await sweeper.sweep('demo');
    await sweeper.sweep('demo');
    await sweeper[Symbol.asyncDispose]();
    sweeper = open(60_000);
    await expect(sweeper.admit('demo', tree)).rejects.toMatchObject({ code: 'CHUNK_MISSING' });
    // A gateway may have asked for them before they were taken out.
    const report = sweeper.admit('demo', tree, 'gateway');
    await expect(report).rejects.toMatchObject({ code: 'CHUNK_MISSING' });
    aheadMs += 60_000;
    await sweeper.admit('demo', tree, 'gateway');
  });

  test('a tree is held from when it was named until a pass finds that nothing names it', async () => {
    const tree = await send(randomBytes(1_500_000));
    expect(sweeper.hold('demo', tree)).toBe(false);
    await sweeper.admit('demo', tree);
    await name(tree);
    aheadMs += 3_600_000;
    await sweeper.sweep('demo');
    expect(sweeper.hold('demo', tree)).toBe(true);
    expect(sweeper.hold('other', tree)).toBe(false);
    await book.db.deleteFrom('trees').execute();
    // Who was told that it is held has ten minutes to name it.
    for (let pass = 0; pass < 3; pass += 1) await sweeper.sweep('demo');
    expect(await missing(tree)).toBe(0);
    expect(sweeper.hold('demo', tree)).toBe(true);
    aheadMs += 3_600_000;
    // This pass forgets that somebody wanted it, the next one finds no name.
    await sweeper.sweep('demo');
    await sweeper.sweep('demo');
    expect(sweeper.hold('demo', tree)).toBe(false);
    await sweeper.sweep('demo');
    await expect(sweeper.admit('demo', tree)).rejects.toMatchObject({ code: 'CHUNK_MISSING' });
    expect(sweeper.hold('demo', tree)).toBe(false);
  });

  test('trees are held and swept at the same time, and none that is held loses a chunk', async () => {
    const tree = await send(randomBytes(30_000));
    let stop = false;
    /** The ten minutes do not pass while they are needed. */
    let isWanted = false;
    const sweeping = (async () => {
      while (!stop) {
        if (!isWanted) aheadMs += 400_000;
        await sweeper.sweep('demo');
      }
    })();
    let held = 0;
    let lost = 0;
    let gone = 0;
    for (let at = 0; at < 200; at += 1) {
      isWanted = sweeper.hold('demo', tree);
      if (isWanted) {
        held += 1;
        gone += await missing(tree);
        await sweeper.admit('demo', tree);
      } else {
        lost += 1;
        await sendTree(member, { root: join(dir, `root-${count}`), paths: ['.'] });
        await sweeper.admit('demo', tree).catch(() => undefined);
      }
      isWanted = false;
      if (at % 10 === 0) await new Promise((resolve) => setTimeout(resolve, 20));
    }
    stop = true;
    await sweeping;
    expect([held > 10, lost > 2, gone]).toEqual([true, true, 0]);
  });

  test.for(['heal', 'doubt'] as const)(
    'after %s no tree is held until it is named again',
    async (how) => {
      const tree = await send(randomBytes(1_500_000));
      await sweeper.admit('demo', tree);
      if (how === 'heal') await sweeper.heal('demo', [sha256(Buffer.from('none'))]);
      else sweeper.doubt('demo', 'a failure');
      expect(sweeper.hold('demo', tree)).toBe(false);
      await sweeper.admit('demo', tree);
      expect(sweeper.hold('demo', tree)).toBe(true);
    },
  );

  test('a member may neither list chunks nor take them out', async () => {
    const tree = await send(randomBytes(1_000));
    const rogue = await nats.member('demo');
    for (const verb of ['INFO', 'PURGE'])
      await expect(
        rogue.request(`$JS.API.STREAM.${verb}.STAGE`, '{}', { timeout: 2_000 }),
      ).rejects.toThrow(/permission|timeout/i);
    await rogue.close();
    expect(await missing(tree)).toBe(0);
  });
});
