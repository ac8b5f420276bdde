import { pino } from 'pino';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { begin, commit } from '../../broker/book.ts';
import { readTrees } from '../../broker/jobs/job-store.ts';
import { place, release } from '../../broker/jobs/moves.ts';
import { applyReport } from '../../broker/jobs/updates.ts';
import { type LedgerPlace, openLedger } from '../../broker/ledger/open-ledger.ts';
import { siteId } from '../../core/ids.ts';
import { ALICE } from '../fakes/callers.ts';
import { at, type OpenBook, openBook } from '../fakes/open-book.ts';
import { submitTo, wanted } from '../fakes/submit-to.ts';

/** A kind of ledger under test. */
export interface LedgerUnderTest extends AsyncDisposable {
  /** A ledger that nobody has used yet. */
  fresh(): Promise<LedgerPlace>;
  /** The ledger as a power failure at this moment would leave it. */
  crashed(place: LedgerPlace): Promise<LedgerPlace>;
  /** The broker that leads is taken for dead, and does not know. */
  cutOff(place: LedgerPlace): Promise<void>;
}

/** What the ledger does, wherever it lies. */
export function ledgerContract(name: string, open: () => Promise<LedgerUnderTest>): void {
  describe(`${name} keeps the ledger contract`, () => {
    let ledgers: LedgerUnderTest;
    let here: LedgerPlace;
    const opened: OpenBook[] = [];
    const openAt = async (where: LedgerPlace): Promise<OpenBook> => {
      const book = await openBook(where);
      opened.push(book);
      return book;
    };
    beforeAll(async () => {
      ledgers = await open();
    });
    beforeEach(async () => {
      here = await ledgers.fresh();
    });
    afterEach(async () => {
      for (const book of opened.splice(0)) await book[Symbol.asyncDispose]();
    });
    afterAll(() => ledgers[Symbol.asyncDispose]());

    test('the epoch rises each time that the ledger is opened', async () => {
      const epochs: number[] = [];
      for (let n = 0; n < 3; n += 1) {
        await using ledger = await openLedger(here, { log, onLost: () => undefined });
        epochs.push(ledger.epoch);
      }
      expect(epochs).toEqual([1, 2, 3]);
    });

    test('what was acknowledged is there after a crash: jobs, tasks, attempts, what waits for what', async () => {
      const book = await openAt(here);
      await book.add({ array: { tasks: 5 }, last: { after: ['array'] } });
      const set = begin(book);
      const [first, second] = [0, 1, 2].map((ordinal) =>
        place(book.table, set, at('aachen', 'array', ordinal)),
      );
      if (first === undefined || second === undefined) throw new Error('nothing was placed');
      const running = {
        atMs: Date.now(),
        detail: '',
        attemptId: first.id,
        state: 'running' as const,
      };
      applyReport(book.table, set, siteId('aachen'), running, book.log);
      release(book.table, set, second, { reason: 'SITE_LOST', detail: 'gone' });
      await commit(book, set);

      const again = await openAt(await ledgers.crashed(here));
      const job = again.get('array');
      expect(job.counts).toEqual({ queued: 3, matched: 1, running: 1 });
      expect(job.nextOrdinal).toBe(3);
      expect([...job.open.values()].map(({ ordinal, state }) => [ordinal, state])).toEqual([
        [0, 'running'],
        [1, 'queued'],
        [2, 'matched'],
      ]);
      expect(job.open.get(1)).toMatchObject({
        avoid: ['aachen'],
        failures: { releases: 1 },
        reason: 'SITE_LOST',
      });
      expect(job.open.get(1)?.released.map(({ id }) => id)).toEqual(['array.1.1']);
      expect([...again.table.attempts.keys()].toSorted()).toEqual(['array.0.1', 'array.2.1']);
      expect(again.get('array').share.placedCpus).toBe(2);
      expect([...again.get('last').waitsFor]).toEqual(['array']);
      const items = again.table.queues.list().flatMap((queue) => [...queue.items]);
      expect(items.map(({ job: id, firstOrdinal, tasks }) => [id, firstOrdinal, tasks])).toEqual([
        ['array', 1, 1],
        ['array', 3, 2],
      ]);
    });

    test('many changes of one moment are one commit, and a row that changed twice is written once', async () => {
      const book = await openAt(here);
      await book.add({ job: { tasks: 200 } });
      const seen: number[] = [];
      const work = Array.from({ length: 200 }, async (_, ordinal) => {
        const set = begin(book);
        place(book.table, set, at('aachen', 'job', ordinal));
        await commit(book, set);
        seen.push(ordinal);
      });
      await Promise.all(work);
      const { attempts } = await book.db
        .selectFrom('attempts')
        .select(({ fn }) => fn.countAll<number>().as('attempts'))
        .executeTakeFirstOrThrow();
      expect(attempts).toBe(200);
      expect(seen).toHaveLength(200);
      const state = await book.db.selectFrom('job_state').selectAll().executeTakeFirstOrThrow();
      expect(state).toMatchObject({ next_ordinal: 200, counts: '{"queued":0,"matched":200}' });
    });

    test('when a commit fails half-way nothing of it is kept, nobody is told otherwise, and the broker learns of it', async () => {
      const book = await openAt(here);
      await book.add({ job: {} });
      const events = await book.db.selectFrom('events').selectAll().execute();
      const trees = [{ digest: 'd', total_bytes: 1, files: 1, manifest: null }];
      const twice = book.recorder.record({ trees, events });
      const innocent = book.recorder.record({ cursors: [{ site: 'x', journal: 'y', seq: 1 }] });
      const failure = { code: 'LEDGER_UNAVAILABLE', message: expect.stringContaining('written') };
      await expect(twice).rejects.toMatchObject(failure);
      await expect(innocent).rejects.toMatchObject(failure);
      await expect(book.recorder.settled()).rejects.toMatchObject(failure);
      expect(book.failures).toHaveLength(1);
      expect(await book.db.selectFrom('trees').selectAll().execute()).toEqual([]);
      expect(await book.db.selectFrom('cursors').selectAll().execute()).toEqual([]);
    });

    test('an amendment that fails leaves nothing behind, and the recorder goes on', async () => {
      const book = await openAt(here);
      const amending = book.recorder.amend(async (db) => {
        await db.deleteFrom('jobs').execute();
        throw new Error('half-way');
      });
      await book.add({ job: {} });
      await expect(amending).rejects.toThrow('half-way');
      await book.add({ other: {} });
      const amended = book.recorder.amend(async (db) => {
        await db.deleteFrom('jobs').where('id', '=', 'job').execute();
      });
      await amended;
      expect(book.failures).toEqual([]);
      const left = await book.db.selectFrom('jobs').select('id').execute();
      expect(left).toEqual([{ id: 'other' }]);
    });

    test('a broker that was taken over from can write no more', async () => {
      const old = await openAt(here);
      await old.add({ job: {} });
      await ledgers.cutOff(here);
      const leader = await openAt(here);
      const change = { cursors: [{ site: 'x', journal: 'old', seq: 1 }] };
      const amending = old.recorder.amend(async (db) => {
        await db.deleteFrom('jobs').execute();
      });
      await expect(amending).rejects.toMatchObject({ code: 'STALE_EPOCH' });
      await expect(old.recorder.record(change)).rejects.toMatchObject({ code: 'STALE_EPOCH' });
      expect(await leader.db.selectFrom('cursors').selectAll().execute()).toEqual([]);
      await leader.add({ other: {} });
      expect([...leader.table.jobs.keys()]).toEqual(['job', 'other']);
    });

    test('text of any kind, large numbers and bytes come back; NUL does not stop the broker', async () => {
      const book = await openAt(here);
      const digest = 'Löwe 🦁 – «ß» \u0001 \\ \' " ; -- %';
      const manifest = Uint8Array.from({ length: 256 }, (_, byte) => byte);
      const total = Number.MAX_SAFE_INTEGER;
      const tree = { digest, total_bytes: total, files: 0, manifest };
      const journal = 'before\0after';
      await book.recorder.record({ trees: [tree], cursors: [{ site: 'x', journal, seq: total }] });
      const found = (await readTrees(book.db, [digest])).get(digest);
      expect(found).toMatchObject({ digest, totalBytes: total });
      expect([...(found?.manifest ?? [])]).toEqual([...manifest]);
      const cursor = await book.db.selectFrom('cursors').selectAll().executeTakeFirstOrThrow();
      expect(cursor.seq).toBe(total);
      expect(cursor.journal.replace('\0', '\uFFFD')).toBe('before\uFFFDafter');
      const missing = book.db.selectFrom('jobs').selectAll().where('id', '=', '\0').execute();
      expect(await missing).toEqual([]);
    });

    test('ten thousand rows are one commit, and more trees are read than a statement has parameters', async () => {
      const book = await openAt(here);
      const jobs = Array.from({ length: 10_000 }, (_, n) => [`job${n}`, {}] as const);
      await book.add(Object.fromEntries(jobs));
      const set = begin(book);
      for (const [id] of jobs) place(book.table, set, at('aachen', id));
      await commit(book, set);
      const { live } = await book.db
        .selectFrom('attempts')
        .innerJoin('job_state', 'job_state.job_id', 'attempts.job_id')
        .select(({ fn }) => fn.countAll<number>().as('live'))
        .where('job_state.state', '=', 'matched')
        .executeTakeFirstOrThrow();
      expect(live).toBe(10_000);
      const digests = Array.from({ length: 70_000 }, (_, n) => `digest ${n}`);
      const trees = digests.map((digest) => ({ digest, total_bytes: 1, files: 1, manifest: null }));
      let turns = 0;
      const timer = setInterval(() => {
        turns += 1;
      }, 0);
      await book.recorder.record({ trees });
      clearInterval(timer);
      expect(turns).toBeGreaterThan(2);
      expect((await readTrees(book.db, digests)).size).toBe(70_000);
    }, 60_000);

    test('a tree that was named without its manifest gets it, and nobody takes it away again', async () => {
      const book = await openAt(here);
      const bare = { digest: 'd', total_bytes: 9, files: 9, manifest: null };
      const whole = { digest: 'd', total_bytes: 1, files: 2, manifest: new Uint8Array([1, 2]) };
      const read = async () => (await readTrees(book.db, ['d'])).get('d');
      await book.recorder.record({ trees: [bare] });
      expect(await read()).toEqual({ digest: 'd', totalBytes: 9, files: 9 });
      await book.recorder.record({ trees: [whole, bare] });
      await book.recorder.record({ trees: [bare] });
      const tree = await read();
      expect(tree).toMatchObject({ totalBytes: 1, files: 2 });
      expect([...(tree?.manifest ?? [])]).toEqual([1, 2]);
    });

    test('a submission that comes again is the first one, unless its jobs are others', async () => {
      const book = await openAt(here);
      const submit = await submitTo(book);
      const jobs = [wanted('one'), wanted('two')];
      const [first, second] = await Promise.all([
        submit(ALICE, 'k', jobs),
        submit(ALICE, 'k', jobs),
      ]);
      expect(first).toHaveLength(2);
      expect(second).toEqual(first);
      const refused = { code: 'SUBMIT_KEY_REUSED' };
      await expect(submit(ALICE, 'k', [wanted('three')])).rejects.toMatchObject(refused);
      const again = await openAt(await ledgers.crashed(here));
      expect(await (await submitTo(again))(ALICE, 'k', jobs)).toEqual(first);
      await expect((await submitTo(again))(ALICE, 'k', [wanted('three')])).rejects.toMatchObject(
        refused,
      );
      expect([...again.table.jobs.keys()]).toEqual(first);
    });

    test('a submit key that a database cannot hold is refused', async () => {
      const submit = await submitTo(await openAt(here));
      await expect(submit(ALICE, 'a\0b', [wanted('one')])).rejects.toMatchObject({
        code: 'REQUEST_INVALID',
      });
    });
  });
}

const log = pino({ level: 'silent' });
