import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { openDatasets } from '../../broker/data/datasets.ts';
import { NO_SWEEPER } from '../../broker/data/sweeper.ts';
import { treeRows } from '../../broker/jobs/records.ts';
import type { LedgerPlace } from '../../broker/ledger/open-ledger.ts';
import { NO_STORE, openTreeCounter } from '../../broker/room/count-trees.ts';
import { openStoreRoom, type StoreRoom } from '../../broker/room/store-room.ts';
import { parseDataset } from '../../core/data/dataset.ts';
import type { TreeRef } from '../../core/data/manifest.ts';
import { encodeManifest } from '../../core/data/manifest-codec.ts';
import { dn } from '../../core/ids.ts';
import { sha256 } from '../../service/staging/chunk-store.ts';
import { ALICE } from '../fakes/callers.ts';
import { liveTask } from '../fakes/finished-jobs.ts';
import { type OpenBook, openBook } from '../fakes/open-book.ts';

const ACCESS = { admins: [], vos: ['demo'] };
const peer = { ...ALICE, limited: false };
const OWNER = { vo: 'demo', owner: ALICE.dn };
const VO = { vo: 'demo', owner: '' };

/** A tree of files, each of one chunk that is named after it: `{ a: 100 }`. */
function treeOf(files: Readonly<Record<string, number>>): TreeRef {
  const entries = Object.entries(files).map(([path, length]) => ({
    kind: 'file' as const,
    ...{ path, mode: 0o644, sizeBytes: length, digest: sha256(Buffer.from(`file ${path}`)) },
    slices: [{ digest: sha256(Buffer.from(path)), offset: 0, length }],
  }));
  const manifest = encodeManifest({ entries });
  const totalBytes = Object.values(files).reduce((sum, size) => sum + size, 0);
  return { digest: sha256(manifest), totalBytes, files: entries.length, manifest };
}

/** Quotas of bytes, wherever the ledger lies. */
export function storeRoomContract(name: string, fresh: () => Promise<LedgerPlace>): void {
  describe(`quotas of the store on ${name}`, () => {
    let place: LedgerPlace;
    let book: OpenBook;
    let room: StoreRoom;
    /** How much later it is for all but the test. */
    let laterMs = 0;
    const open = async (): Promise<void> => {
      book = await openBook(place);
      const { clock } = book;
      const shifted = {
        nowMs: () => clock.nowMs() + laterMs,
        monotonicMs: () => clock.monotonicMs() + laterMs,
      };
      book = { ...book, clock: shifted };
      room = await openStoreRoom(
        book,
        openTreeCounter(book, () => NO_STORE),
      );
    };
    beforeEach(async () => {
      laterMs = 0;
      place = await fresh();
      await open();
    });
    afterEach(() => book[Symbol.asyncDispose]());

    const put = async (dataset: string, tree: TreeRef, keepMs = 0): Promise<void> => {
      const doors = { ...NO_SWEEPER, claim: room.claim };
      const datasets = await openDatasets(book, ACCESS, doors);
      await datasets.put(peer, { vo: 'demo', name: dataset, shared: false, keepMs, tree });
    };
    const remove = async (dataset: string): Promise<void> => {
      const datasets = await openDatasets(book, ACCESS, { ...NO_SWEEPER, claim: room.claim });
      const parsed = parseDataset(`/demo/${dataset}`);
      if (!parsed.ok) throw new Error(parsed.message);
      await datasets.change(peer, parsed.ref, { kind: 'remove' });
    };
    const full = { code: 'STORE_QUOTA' };

    test('what is shared counts once, and what is removed no more', async () => {
      await room.set(OWNER, 250);
      await put('one', treeOf({ a: 100, b: 100 }));
      await put('two', treeOf({ a: 100, b: 100, c: 50 }));
      expect(await room.use(OWNER)).toEqual({ usedBytes: 250, limitBytes: 250 });
      await expect(put('three', treeOf({ d: 1 }))).rejects.toMatchObject({
        ...full,
        message: `${ALICE.dn} in VO demo may store 250 B: 250 B are stored, and 1 B more are wanted`,
      });
      await put('same', treeOf({ c: 50 }));
      await remove('two');
      await remove('same');
      await put('three', treeOf({ d: 50 }));
      expect(await room.use(OWNER)).toMatchObject({ usedBytes: 250 });
    });

    test('what has expired counts no more', async () => {
      await put('short', treeOf({ a: 100 }), 60_000);
      await put('kept', treeOf({ b: 10 }));
      expect(await room.use(OWNER)).toMatchObject({ usedBytes: 110 });
      expect(await room.owners('demo', 10)).toEqual([ALICE.dn]);
      laterMs = 61_000;
      expect(await room.use(OWNER)).toMatchObject({ usedBytes: 10 });
    });

    test('those who store most are known, and only of their VO', async () => {
      await put('one', treeOf({ a: 100 }));
      const datasets = await openDatasets(book, ACCESS, { ...NO_SWEEPER, claim: room.claim });
      const bob = { ...peer, dn: dn('/DC=org/DC=test/CN=Bob') };
      const more = { vo: 'demo', name: 'more', shared: false, keepMs: 0 };
      await datasets.put(bob, { ...more, tree: treeOf({ b: 200 }) });
      expect(await room.owners('demo', 50)).toEqual([bob.dn, ALICE.dn]);
      expect(await room.owners('demo', 1)).toEqual([bob.dn]);
      expect(await room.owners('other', 50)).toEqual([]);
      await remove('one');
      expect(await room.owners('demo', 50)).toEqual([bob.dn]);
    });

    test('what is said of a tree does not count, but what is in it', async () => {
      await room.set(OWNER, 100);
      const tree = { ...treeOf({ a: 101 }), totalBytes: 1 };
      await expect(put('small', tree)).rejects.toMatchObject(full);
    });

    test('of two at once for the last room one gets it, and a refusal leaves nothing behind', async () => {
      await room.set(OWNER, 150);
      const puts = ['a', 'b', 'c'].map((file) => put(file, treeOf({ [file]: 100 })));
      const ends = await Promise.allSettled(puts);
      expect(ends.filter(({ status }) => status === 'fulfilled')).toHaveLength(1);
      expect(await room.use(OWNER)).toMatchObject({ usedBytes: 100 });
      await put('rest', treeOf({ d: 50 }));
    });

    test('a claim that comes to nothing gives its room back', async () => {
      await room.set(OWNER, 100);
      {
        using _claim = await room.claim(OWNER, [treeOf({ a: 100 })]);
        await expect(room.claim(OWNER, [treeOf({ b: 1 })])).rejects.toMatchObject(full);
      }
      using claim = await room.claim(OWNER, [treeOf({ b: 100 })]);
      expect(claim).toBeDefined();
    });

    test('a limit of the VO holds for all, one of everybody for whoever has no own', async () => {
      await room.set({ vo: 'demo', owner: '*' }, 10);
      await expect(put('a', treeOf({ a: 11 }))).rejects.toMatchObject(full);
      await room.set(OWNER, undefined);
      await put('a', treeOf({ a: 11 }));
      await room.set(VO, 20);
      await expect(put('b', treeOf({ b: 10 }))).rejects.toMatchObject({
        message: 'VO demo may store 20 B: 11 B are stored, and 10 B more are wanted',
      });
      await put('b', treeOf({ b: 9 }));
    });

    test('results are kept and count, and the next submission is refused until there is room', async () => {
      await room.set(OWNER, 100);
      const results = treeOf({ out: 120 });
      await book.add({ job: {} });
      await book.db.updateTable('jobs').set({ owner: ALICE.dn, vo: 'demo' }).execute();
      const task = { job_id: 'job', ordinal: 0, number: 1, site: 'north', state: 'done' as const };
      const times = { placed_ms: 1, started_ms: 1, ended_ms: 1 };
      await book.recorder.record({
        trees: treeRows(results),
        attempts: [
          {
            ...{ id: 'attempt', ...task, ...times, reason: '', detail: '', outcome: null },
            outputs: results.digest,
          },
        ],
      });
      expect(await room.use(OWNER)).toMatchObject({ usedBytes: 120 });
      await expect(room.claimForJobs(OWNER, [])).rejects.toMatchObject({
        ...full,
        message: expect.stringContaining('120 B are stored, and no job may be submitted'),
      });
      await book.db.deleteFrom('attempts').execute();
      using claim = await room.claimForJobs(OWNER, [treeOf({ a: 100 })]);
      expect(claim).toBeDefined();
    });

    test('of many jobs, and of a job of many tasks, all counts, and is read in pages', async () => {
      const names = Array.from({ length: 1_200 }, (_, at) => `one-${at}`);
      await book.add({
        ...Object.fromEntries(names.map((id) => [id, {}])),
        array: { tasks: 2_500 },
        elsewhere: {},
      });
      await book.db.updateTable('jobs').set({ owner: ALICE.dn, vo: 'demo' }).execute();
      await book.db
        .updateTable('jobs')
        .set({ vo: 'other' })
        .where('id', '=', 'elsewhere')
        .execute();
      const tasks = [
        ...names.map((id) => ({ job_id: id, ordinal: 0 })),
        ...Array.from({ length: 2_500 }, (_, ordinal) => ({ job_id: 'array', ordinal })),
        { job_id: 'elsewhere', ordinal: 0 },
      ];
      const made = tasks.map((task, at) => {
        const id = `attempt-${at}`;
        const tree = { digest: sha256(Buffer.from(id)), totalBytes: 1, files: 1 };
        const ended = { number: 1, site: 'north', state: 'done' as const, placed_ms: 1 };
        const row = { ...task, ...ended, started_ms: 1, ended_ms: 1, reason: '', detail: '' };
        return { tree, attempt: { ...row, id, outcome: null, outputs: tree.digest } };
      });
      await book.recorder.record({
        trees: made.flatMap(({ tree }) => treeRows(tree)),
        attempts: made.map(({ attempt }) => attempt),
      });
      const [brought, first] = ['inputs', 'attempt-0'].map((text) => sha256(Buffer.from(text)));
      await book.recorder.record({
        trees: treeRows({ digest: brought ?? '', totalBytes: 10, files: 1 }),
      });
      const inputsOf = (id: string, inputs = '') =>
        book.db.updateTable('jobs').set({ inputs }).where('id', '=', id).execute();
      await inputsOf('array', brought);
      await inputsOf('one-1199', first);
      const rows: number[] = [];
      const watched = book.db.withPlugin({
        transformQuery: ({ node }) => node,
        transformResult: ({ result }) => {
          rows.push(result.rows.length);
          return Promise.resolve(result);
        },
      });
      const counter = openTreeCounter({ ...book, db: watched }, () => NO_STORE);
      for (const scope of [OWNER, VO]) expect((await counter.count(scope)).bytes).toBe(3_710);
      expect(Math.max(...rows)).toBeLessThanOrEqual(1_000);
    });

    test('what a task has made so far counts', async () => {
      const live = treeOf({ 'so-far': 70 });
      await book.add({ job: {} });
      await book.db.updateTable('jobs').set({ owner: ALICE.dn, vo: 'demo' }).execute();
      await book.recorder.record({ trees: treeRows(live), tasks: [liveTask('job', live.digest)] });
      for (const scope of [OWNER, VO])
        expect(await room.use(scope)).toMatchObject({ usedBytes: 70 });
      expect(await room.owners('demo', 10)).toEqual([ALICE.dn]);
    });

    test('limits and what is stored are known after a restart', async () => {
      await room.set(OWNER, 100);
      await room.set(VO, undefined);
      await put('a', treeOf({ a: 60 }));
      await book[Symbol.asyncDispose]();
      await open();
      expect(room.limits('demo')).toEqual(
        new Map<string, number | undefined>([
          [ALICE.dn, 100],
          ['', undefined],
        ]),
      );
      await expect(put('b', treeOf({ b: 50 }))).rejects.toMatchObject(full);
      await put('b', treeOf({ b: 40 }));
    });
  });
}
