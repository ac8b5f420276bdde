import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { begin, commit } from '../../broker/book.ts';
import { openDatasets } from '../../broker/data/datasets.ts';
import { resultTrees } from '../../broker/data/result-trees.ts';
import { NO_SWEEPER } from '../../broker/data/sweeper.ts';
import { type History, openHistory } from '../../broker/jobs/history.ts';
import { cancelJob } from '../../broker/jobs/moves.ts';
import { openRetry } from '../../broker/jobs/retry-job.ts';
import type { LedgerPlace } from '../../broker/ledger/open-ledger.ts';
import { NO_ROOM } from '../../broker/room/store-room.ts';
import { parseDataset } from '../../core/data/dataset.ts';
import { dn, jobId, voName } from '../../core/ids.ts';
import { ALICE } from '../fakes/callers.ts';
import { liveTask } from '../fakes/finished-jobs.ts';
import { specOf } from '../fakes/offers.ts';
import { type OpenBook, openBook } from '../fakes/open-book.ts';
import { submitTo, wanted } from '../fakes/submit-to.ts';

const HOUR_MS = 3_600_000;
const ACCESS = { admins: [], vos: ['demo'] };

/** How datasets that are gone let go of their trees, wherever the ledger lies. */
export function datasetReleaseContract(name: string, fresh: () => Promise<LedgerPlace>): void {
  describe(`trees of datasets on ${name}`, () => {
    let book: OpenBook;
    let history: History;
    let laterMs = 0;
    /** Makes it later for whoever puts and removes, and for the pass. */
    const later = (ms: number): void => {
      laterMs += ms;
    };
    beforeEach(async () => {
      laterMs = 0;
      book = await openBook(await fresh());
      const { clock } = book;
      const shifted = {
        ...clock,
        nowMs: () => clock.nowMs() + laterMs,
        monotonicMs: () => clock.monotonicMs() + laterMs,
      };
      book = { ...book, clock: shifted };
      history = openHistory({ book, keepMs: 365 * 24 * HOUR_MS });
    });
    afterEach(async () => {
      await history[Symbol.asyncDispose]();
      await book[Symbol.asyncDispose]();
    });
    const peer = { ...ALICE, limited: false };
    const put = async (
      dataset: string,
      tree: string,
      keepMs = 0,
      shared = false,
      as = peer,
    ): Promise<void> => {
      const datasets = await openDatasets(book, ACCESS, { ...NO_SWEEPER, ...NO_ROOM });
      const wish = { vo: 'demo', name: dataset, shared, keepMs };
      await datasets.put(as, { ...wish, tree: { digest: tree, totalBytes: 1, files: 1 } });
    };
    const find = async (dataset: string) => {
      const datasets = await openDatasets(book, ACCESS, { ...NO_SWEEPER, ...NO_ROOM });
      return datasets.list(peer, 'demo', true).filter(({ name: of }) => of === dataset);
    };
    const remove = async (dataset: string): Promise<void> => {
      const datasets = await openDatasets(book, ACCESS, { ...NO_SWEEPER, ...NO_ROOM });
      const parsed = parseDataset(`/demo/${dataset}`);
      if (!parsed.ok) throw new Error(parsed.message);
      await datasets.change(peer, parsed.ref, { kind: 'remove' });
    };
    const trees = async (): Promise<readonly string[]> => {
      const rows = await book.db.selectFrom('trees').select('digest').execute();
      return rows.map(({ digest }) => digest).toSorted();
    };

    test('what is put again stays for the longer time, and is shared when either says so', async () => {
      await put('again', 'tree', HOUR_MS);
      const [first] = await find('again');
      await put('again', 'tree', 60_000);
      expect(await find('again')).toEqual([first]);
      later(HOUR_MS / 2);
      await put('again', 'tree', HOUR_MS, true);
      const [longer, ...others] = await find('again');
      expect(others).toEqual([]);
      expect(longer).toMatchObject({ version: 1, shared: true });
      expect(longer?.expiresAtMs).toBeGreaterThanOrEqual((first?.expiresAtMs ?? 0) + HOUR_MS / 2);
      await put('again', 'tree');
      await put('again', 'tree', HOUR_MS);
      expect(await find('again')).toEqual([expect.objectContaining({ version: 1, shared: true })]);
      later(10 * HOUR_MS);
      await history.pass();
      expect(await find('again')).toHaveLength(1);
      expect(await trees()).toEqual(['tree']);
    });

    test('removed and expired ones let go, and what stands stays', async () => {
      await put('kept', 'tree of kept');
      await put('removed', 'tree of removed');
      await put('short', 'tree of short', HOUR_MS);
      await put('long', 'tree of long', 10 * HOUR_MS);
      await remove('removed');
      await history.pass();
      expect(await trees()).toHaveLength(4);
      later(2 * HOUR_MS);
      await history.pass();
      expect(await trees()).toEqual(['tree of kept', 'tree of long']);
      await put('removed', 'tree of removed');
      await history.pass();
      expect(await trees()).toEqual(['tree of kept', 'tree of long', 'tree of removed']);
    });

    test('a tree that another dataset or a job names stays', async () => {
      for (const each of ['a', 'b']) await put(each, 'one tree');
      await put('c', 'tree of a job');
      await put('d', 'live tree of a task');
      await book.add({ job: {} });
      await book.db.updateTable('jobs').set({ inputs: 'tree of a job' }).execute();
      const set = begin(book);
      cancelJob(book.table, set, book.get('job'), { reason: 'CANCELLED', detail: '' });
      await commit(book, set);
      await book.recorder.record({ tasks: [liveTask('job', 'live tree of a task')] });
      for (const each of ['a', 'c', 'd']) await remove(each);
      later(HOUR_MS);
      await history.pass();
      expect(await trees()).toEqual(['live tree of a task', 'one tree', 'tree of a job']);
      await remove('b');
      later(HOUR_MS);
      await history.pass();
      expect(await trees()).toEqual(['live tree of a task', 'tree of a job']);
    });

    test('a job that was submitted before keeps them until it ends', async () => {
      await put('data', 'tree of data');
      await book.add({ before: {} });
      later(HOUR_MS);
      await remove('data');
      later(HOUR_MS);
      await book.add({ after: {} });
      Object.assign(book.get('after'), { submittedAtMs: book.clock.nowMs() });
      await history.pass();
      expect(await trees()).toEqual(['tree of data']);
      const set = begin(book);
      cancelJob(book.table, set, book.get('before'), { reason: 'CANCELLED', detail: '' });
      await commit(book, set);
      await history.pass();
      expect(await trees()).toEqual([]);
    });

    test('versions that are gone leave a row of the newest alone, whose number is not used again', async () => {
      const rows = () =>
        book.db.selectFrom('datasets').select('version').orderBy('version').execute();
      for (let version = 1; version <= 4; version += 1)
        await put('hourly', `tree ${version}`, HOUR_MS);
      await put('kept', 'tree of kept');
      later(2 * HOUR_MS);
      await history.pass();
      expect(await rows()).toEqual([{ version: 1 }, { version: 4 }]);
      expect(await trees()).toEqual(['tree of kept']);
      await put('hourly', 'tree 5');
      expect((await find('hourly')).map(({ version }) => version)).toEqual([5]);
    });

    test('a name stays with its owner where it has expired, and is free where it was removed', async () => {
      const bob = { ...peer, dn: dn('/DC=org/DC=test/CN=Bob') };
      const putAsBob = () => put('name', 'tree of Bob', 0, true, bob);
      await put('name', 'tree', HOUR_MS, true);
      later(2 * HOUR_MS);
      await expect(putAsBob()).rejects.toThrow(`/demo/name belongs to ${ALICE.dn}`);
      await history.pass();
      expect(await trees()).toEqual([]);
      await expect(putAsBob()).rejects.toThrow(`/demo/name belongs to ${ALICE.dn}`);
      const fqans = [{ vo: voName('demo'), groups: [], role: 'manager' }];
      await put('name', 'tree of a manager', HOUR_MS, false, { ...bob, fqans });
      expect(await find('name')).toMatchObject([{ version: 2, owner: ALICE.dn }]);
      later(2 * HOUR_MS);
      await put('name', 'tree');
      await remove('name');
      await putAsBob();
      expect(await find('name')).toMatchObject([{ version: 4, owner: bob.dn }]);
    });

    test('what work under way holds keeps its tree', async () => {
      await put('data', 'tree of data');
      const held = book.holds.hold(['grid:/demo/data@v1']);
      await remove('data');
      later(HOUR_MS);
      await history.pass();
      expect(await trees()).toEqual(['tree of data']);
      held[Symbol.dispose]();
      await history.pass();
      expect(await trees()).toEqual([]);
    });

    test('a job whose dataset was let go of is not retried', async () => {
      await put('data', 'tree of data');
      const submit = await submitTo(book);
      const inputs = [{ from: 'grid:/demo/data', to: 'ref' }];
      const [id = jobId('none')] = await submit(peer, 'key', [wanted('late', { inputs })]);
      const set = begin(book);
      cancelJob(book.table, set, book.get(id), { reason: 'CANCELLED', detail: '' });
      await commit(book, set);
      await remove('data');
      later(HOUR_MS);
      await history.pass();
      const again = openRetry(book, () => undefined);
      await expect(again({ id, failedOnly: false, ordinals: [], by: 'ada' })).rejects.toMatchObject(
        {
          code: 'JOB_EVENT_REFUSED',
          message: expect.stringContaining('takes grid:/demo/data@v1, which was removed'),
        },
      );
    });

    test('a job that is retried too late is sent to a tree of which the site finds nothing', async () => {
      await put('data', 'tree of data');
      const spec = specOf({ inputs: [{ from: 'grid:/demo/data@v1', to: 'ref' }] });
      const there = { digest: 'tree of data', totalBytes: 1, files: 1 };
      expect(await resultTrees(book.db, spec)).toEqual([{ tree: there, to: 'ref' }]);
      await remove('data');
      later(HOUR_MS);
      await history.pass();
      const gone = { digest: 'tree of data', totalBytes: 0, files: 0 };
      expect(await resultTrees(book.db, spec)).toEqual([{ tree: gone, to: 'ref' }]);
    });
  });
}
