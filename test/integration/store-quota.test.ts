import { randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { mkdir, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { OpenKeeper } from '../../broker/data/staging-accounts.ts';
import { openSweeper, type Sweeper } from '../../broker/data/sweeper.ts';
import { treeRows } from '../../broker/jobs/records.ts';
import { openTreeCounter } from '../../broker/room/count-trees.ts';
import { openStoreRoom, type StoreRoom } from '../../broker/room/store-room.ts';
import type { TreeRef } from '../../core/data/manifest.ts';
import { encodeManifest } from '../../core/data/manifest-codec.ts';
import { chunkName } from '../../service/staging/chunk-cipher.ts';
import { type ChunkStore, sha256 } from '../../service/staging/chunk-store.ts';
import { type SentTree, sendTree } from '../../service/staging/send-tree.ts';
import { treeChunks } from '../../service/staging/tree-chunks.ts';
import { type BrokerGrid, openBrokerGrid } from '../fakes/broker-grid.ts';
import { startTestNats, type TestNats, testNatsBinary } from '../fakes/nats.ts';
import { type OpenBook, openBook } from '../fakes/open-book.ts';

const MIB = 1_048_576;
const OWNER = { vo: 'demo', owner: '/DC=org/DC=test/CN=Alice' };

describe('with a nats-server', () => {
  let dir: string;
  let nats: TestNats;
  let book: OpenBook;
  let keeper: OpenKeeper;
  let room: StoreRoom;
  let sweeper: Sweeper;
  let member: ChunkStore & AsyncDisposable;
  beforeEach(async () => {
    dir = mkdtempSync(join(tmpdir(), 'hanse-quota-'));
    const binary = await testNatsBinary();
    nats = await startTestNats({ binary, vos: ['demo'], bytesPerVo: 12 * MIB });
    book = await openBook(join(dir, 'ledger.db'));
    keeper = nats.accounts.openKeeper('demo');
    room = await openStoreRoom(
      book,
      openTreeCounter(book, () => keeper.store),
    );
    const { accounts } = nats;
    const every = { vos: ['demo'], everyMs: 3_600_000, graceMs: 0 };
    sweeper = openSweeper({ book, accounts, ...every });
    member = nats.open('demo');
  });
  afterEach(async () => {
    await member[Symbol.asyncDispose]();
    await sweeper[Symbol.asyncDispose]();
    await keeper[Symbol.asyncDispose]();
    await book[Symbol.asyncDispose]();
    await nats[Symbol.asyncDispose]();
    rmSync(dir, { recursive: true });
  });

  const directory = async (files: Readonly<Record<string, Uint8Array>>): Promise<string> => {
    const root = join(dir, `root-${randomBytes(4).toString('hex')}`);
    await mkdir(root);
    for (const [name, bytes] of Object.entries(files)) await writeFile(join(root, name), bytes);
    return root;
  };
  const send = (root: string): Promise<SentTree> => sendTree(member, { root, paths: ['.'] });
  const name = (tree: TreeRef): Promise<void> => book.recorder.record({ trees: treeRows(tree) });

  test('a manifest that is in the store is read there, and a false size is of no use', async () => {
    const many = Object.fromEntries(
      Array.from({ length: 100 }, (_, at) => [`file-${at}`, randomBytes(1_000)]),
    );
    const { tree } = await send(await directory(many));
    expect(tree.manifest).toBeUndefined();
    await room.set(OWNER, 99_999);
    const wish = room.claim(OWNER, [{ ...tree, totalBytes: 1 }]);
    await expect(wish).rejects.toMatchObject({
      code: 'STORE_QUOTA',
      message: expect.stringContaining('97.7 KiB: 0 B are stored, and 97.7 KiB more are wanted'),
    });
    await room.set(OWNER, 100_000);
    using claim = await room.claim(OWNER, [{ ...tree, totalBytes: 1 }]);
    expect(claim).toBeDefined();
  });

  test('nothing is sent where there is no room', async () => {
    const root = await directory({ large: randomBytes(2 * MIB) });
    await room.set(OWNER, MIB);
    const askRoom = (wish: { readonly bytes: number }): Promise<void> =>
      room.ask(OWNER, wish.bytes, { keys: new Float64Array(), bytes: new Float64Array() }).then();
    const sent = sendTree(member, { root, paths: ['.'] }, { askRoom });
    await expect(sent).rejects.toMatchObject({ code: 'STORE_QUOTA' });
    expect(await keeper.list()).toMatchObject({ names: [] });
  });

  test('a store that fills up in the middle says so, and what was sent is not sent again', async () => {
    const old = await send(await directory({ old: randomBytes(6 * MIB) }));
    await name(old.tree);
    const root = await directory({ new: randomBytes(9 * MIB) });
    await expect(send(root)).rejects.toMatchObject({
      code: 'STORE_QUOTA',
      message: expect.stringMatching(/^the store of the VO is full: /),
    });
    expect(await room.use(OWNER)).toEqual({ usedBytes: 0, limitBytes: undefined });
    await keeper.remove((await treeChunks(member, old.tree)).map(chunkName));
    const again = await send(root);
    expect(again.savedBytes).toBeGreaterThan(0);
    expect(again.savedBytes + again.sentBytes).toBe(9 * MIB);
  });

  test('what was sent and refused is swept, and its room is there again', async () => {
    const root = await directory({ one: randomBytes(8 * MIB) });
    const { tree } = await send(root);
    await room.set(OWNER, MIB);
    await expect(room.claim(OWNER, [tree])).rejects.toMatchObject({ code: 'STORE_QUOTA' });
    await sweeper.sweep('demo');
    expect(await sweeper.sweep('demo')).toMatchObject({ removed: 8 });
    const other = await send(await directory({ two: randomBytes(10 * MIB) }));
    expect(other.sentBytes).toBe(10 * MIB);
  });
});

describe('over the wire', () => {
  let grid: BrokerGrid;
  beforeEach(async () => {
    grid = await openBrokerGrid();
  });
  afterEach(() => grid[Symbol.asyncDispose]());
  const nameOf = (person: string): string => `/DC=org/DC=test/CN=${person}`;
  const codeOf = (call: Promise<unknown>): Promise<string> =>
    call.then(
      () => 'no error',
      ({ code }: { readonly code: string }) => code,
    );

  test.each([
    ['Root', 'demo', '', 'no error'],
    ['Root', 'demo', nameOf('Alice'), 'no error'],
    ['Mary', 'demo', nameOf('Alice'), 'no error'],
    ['Mary', 'demo', '*', 'no error'],
    ['Mary', 'demo', '', 'PERMISSION_DENIED'],
    ['Alice', 'demo', nameOf('Alice'), 'PERMISSION_DENIED'],
    ['Alice', 'demo', '*', 'PERMISSION_DENIED'],
    ['Otto', 'demo', nameOf('Alice'), 'PERMISSION_DENIED'],
    ['Otto', 'other', '*', 'VO_NOT_FOUND'],
    ['Root', 'other', '', 'VO_NOT_FOUND'],
    ['Mary', 'demo', 'Alice', 'REQUEST_INVALID'],
  ])('%s sets that of VO %s for "%s": %s', async (person, vo, owner, code) => {
    const set = grid.datasetsAs(person).setStoreQuota({ vo, owner, limitBytes: 5 });
    expect(await codeOf(set)).toBe(code);
  });

  test.each([-1, Number.MIN_SAFE_INTEGER])('a limit of %d is refused', async (limitBytes) => {
    const set = grid.datasetsAs('Mary').setStoreQuota({ vo: 'demo', owner: '*', limitBytes });
    expect(await codeOf(set)).toBe('REQUEST_INVALID');
    const ask = grid
      .as('Alice')
      .askRoom({ vo: 'demo', bytes: limitBytes, chunks: [], dataset: '' });
    expect(await codeOf(ask)).toBe('REQUEST_INVALID');
  });

  test('a dataset is kept for a hundred years at most: a later end could not be read any more', async () => {
    const alice = grid.datasetsAs('Alice');
    const put = (keepMs: number) =>
      alice.putDataset({ vo: 'demo', name: 'hg38', tree: undefined, shared: true, keepMs });
    const pin = (value: number) =>
      alice.changeDataset({
        ...{ vo: 'demo', name: 'hg38', version: 1 },
        change: { $case: 'keepMs', value },
      });
    const years = 36_500 * 86_400_000;
    const refusal = { code: 'REQUEST_INVALID', message: expect.stringContaining('at most 36500d') };
    for (const keepMs of [years + 1, Number.MAX_SAFE_INTEGER]) {
      await expect(put(keepMs)).rejects.toMatchObject(refusal);
      await expect(pin(keepMs)).rejects.toMatchObject(refusal);
    }
    await expect(put(years)).rejects.toThrow('a dataset needs a tree');
    await expect(pin(years)).rejects.toMatchObject({ code: 'DATASET_NOT_FOUND' });
  });

  test('who wants a name of somebody else hears it before anything is sent', async () => {
    const manifest = Buffer.from(encodeManifest({ entries: [] }));
    const tree = {
      digest: Buffer.from(sha256(manifest), 'hex'),
      totalBytes: 0,
      files: 0,
      manifest,
    };
    const wish = { vo: 'demo', name: 'hers', tree, shared: false, keepMs: 0 };
    await grid.datasetsAs('Alice').putDataset(wish);
    const ask = (person: string, dataset: string) =>
      grid.as(person).askRoom({ vo: 'demo', bytes: 0, chunks: [], dataset });
    await expect(ask('Bob', 'hers')).rejects.toMatchObject({
      code: 'PERMISSION_DENIED',
      message: `/demo/hers belongs to ${nameOf('Alice')}: choose another name`,
    });
    expect(await codeOf(ask('Bob', '../hers'))).toBe('REQUEST_INVALID');
    expect(await codeOf(ask('Bob', 'his'))).toBe('no error');
    expect(await codeOf(ask('Alice', 'hers'))).toBe('no error');
    expect(await codeOf(ask('Mary', 'hers'))).toBe('no error');
    // What a manager puts there counts for the owner.
    await grid
      .datasetsAs('Mary')
      .setStoreQuota({ vo: 'demo', owner: nameOf('Alice'), limitBytes: 5 });
    const large = { vo: 'demo', bytes: 6, chunks: [] };
    expect(await codeOf(grid.as('Mary').askRoom({ ...large, dataset: 'hers' }))).toBe(
      'STORE_QUOTA',
    );
    expect(await codeOf(grid.as('Mary').askRoom({ ...large, dataset: 'mine' }))).toBe('no error');
  });

  test.each([
    ['Bob', 'demo', 'DATASET_NOT_FOUND'],
    ['Root', 'demo', 'DATASET_NOT_FOUND'],
    ['Otto', 'demo', 'VO_DENIED'],
    ['Eve', 'demo', 'VO_DENIED'],
    ['Bob', 'nowhere', 'VO_NOT_FOUND'],
  ])('%s asks VO %s for what is not there: %s', async (person, vo, code) => {
    const datasets = grid.datasetsAs(person);
    const ref = { vo, name: 'nothing', version: 0 };
    expect(await codeOf(datasets.getDataset(ref))).toBe(code);
    expect(await codeOf(datasets.removeDataset(ref))).toBe(code);
  });

  test('members see their own, managers all, strangers none; all of it after a restart', async () => {
    const mary = grid.datasetsAs('Mary');
    await mary.setStoreQuota({ vo: 'demo', owner: nameOf('Bob'), limitBytes: 7 });
    await mary.setStoreQuota({ vo: 'demo', owner: '*', limitBytes: 9 });
    await grid.restart();
    const seenBy = async (person: string, owner = ''): Promise<readonly unknown[]> => {
      const { quotas } = await grid.datasetsAs(person).listStoreQuotas({
        ...{ vo: 'demo', owner, members: true },
      });
      return quotas.map((quota) => [quota.owner, quota.limitBytes]);
    };
    const both = [
      ['', undefined],
      ['*', 9],
    ];
    expect(await seenBy('Alice')).toEqual([...both, [nameOf('Alice'), 9]]);
    expect(await seenBy('Mary')).toEqual([...both, [nameOf('Mary'), 9], [nameOf('Bob'), 7]]);
    expect(await codeOf(seenBy('Alice', nameOf('Bob')))).toBe('PERMISSION_DENIED');
    expect(await codeOf(seenBy('Eve'))).toBe('VO_DENIED');
    const list = (vo: string) => grid.datasetsAs('Eve').listDatasets({ vo, allVersions: false });
    expect(await codeOf(list('demo'))).toBe('VO_DENIED');
    expect(await list('')).toEqual({ datasets: [] });
    const ask = (bytes: number) =>
      grid.as('Alice').askRoom({ vo: 'demo', bytes, chunks: [], dataset: '' });
    expect(await codeOf(ask(9))).toBe('no error');
    expect(await codeOf(ask(10))).toBe('STORE_QUOTA');
    expect(
      await codeOf(grid.as('Eve').askRoom({ vo: 'demo', bytes: 1, chunks: [], dataset: '' })),
    ).toBe('VO_DENIED');
  });

  test('who has many chunks looked at for nothing is told to wait, and nobody else is', async () => {
    const digests = Array.from({ length: 1_000 }, () => randomBytes(32));
    const heal = (name: string) => grid.datasetsAs(name).healChunks({ vo: 'demo', digests });
    // This broker has no store: what could not be looked at counts, too.
    for (let call = 0; call < 10; call += 1)
      expect(await codeOf(heal('Alice'))).toBe('STAGING_UNAVAILABLE');
    await expect(heal('Alice')).rejects.toMatchObject({
      code: 'HEAL_LIMIT',
      message: expect.stringMatching(/CN=Alice has had .* 1000 more may be looked at from 20/),
    });
    expect(await codeOf(heal('Bob'))).toBe('STAGING_UNAVAILABLE');
  });
});
