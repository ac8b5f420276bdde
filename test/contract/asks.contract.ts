import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { type Book, begin, commit } from '../../broker/book.ts';
import { type History, openHistory } from '../../broker/jobs/history.ts';
import { place } from '../../broker/jobs/moves.ts';
import { applyReport } from '../../broker/jobs/updates.ts';
import type { LedgerPlace } from '../../broker/ledger/open-ledger.ts';
import { siteId } from '../../core/ids.ts';
import type { Outcome } from '../../core/job/outcome.ts';
import { ALICE } from '../fakes/callers.ts';
import { age, DONE, endAll, finishAll } from '../fakes/finished-jobs.ts';
import { resourcesOf } from '../fakes/offers.ts';
import { at, type OpenBook, openBook } from '../fakes/open-book.ts';
import { submitTo, wanted } from '../fakes/submit-to.ts';

/** How asks leave a ledger, wherever it lies; `fresh` gives one that nobody has used yet. */
export function asksContract(name: string, fresh: () => Promise<LedgerPlace>): void {
  describe(`asks on ${name}`, () => {
    let here: LedgerPlace;
    const opened: AsyncDisposable[] = [];
    const openHere = async (): Promise<OpenBook> => {
      const book = await openBook(here);
      opened.unshift(book);
      return book;
    };
    const historyOf = (book: Book): History => {
      const history = openHistory({ book, keepMs: 86_400_000 });
      opened.unshift(history);
      return history;
    };
    beforeEach(async () => {
      here = await fresh();
    });
    afterEach(async () => {
      for (const each of opened.splice(0)) await each[Symbol.asyncDispose]();
    });

    test('asks do not pile up over the days, and those that something refers to stay', async () => {
      const book = await openHere();
      const submit = await submitTo(book);
      const asking = (mib: number, part = {}) =>
        wanted('job', { resources: resourcesOf({ memoryBytes: mib * 2 ** 20 }), ...part });
      const [open = ''] = await submit(ALICE, 'open', [asking(1)]);
      const [grown = ''] = await submit(ALICE, 'grown', [asking(2, { retryMemory: 2 })]);
      await growMemory(book, grown, 2);
      const history = historyOf(book);
      const counts: number[] = [];
      for (let day = 1; day <= 10; day += 1) {
        const jobs = Array.from({ length: 20 }, (_, n) => asking(100 * day + n));
        const ids = await submit(ALICE, `day ${day}`, [...jobs, asking(50)]);
        await finishAll(book, ids);
        await age(book, ...ids);
        expect(await history.pass()).toBe(21);
        counts.push((await asksOf(book)).length);
      }
      // Of the open job and the grown one: what each asked for first, and what it grew to.
      expect(counts.slice(1)).toEqual(Array(9).fill(3));
      await book[Symbol.asyncDispose]();
      const again = await openHere();
      expect(again.get(open).ask.resources.memoryBytes).toBe(2 ** 20);
      expect(again.get(grown).open.get(0)?.own?.ask.resources.memoryBytes).toBe(2 ** 23);
    }, 60_000);

    test('what is asked for while asks are forgotten stays', async () => {
      const book = await openHere();
      await endAll(book, ['old']);
      await age(book, 'old');
      const { asks } = book.table;
      let added: Promise<void> | undefined;
      const forget: typeof asks.forget = (ids) => {
        // It asks for what the ledger has just said that nobody needs, and is itself not there yet.
        added = book.add({ late: {} });
        return asks.forget(ids);
      };
      const history = historyOf({ ...book, table: { ...book.table, asks: { ...asks, forget } } });
      expect(await history.pass()).toBe(1);
      await added;
      await book[Symbol.asyncDispose]();
      const again = await openHere();
      expect(again.get('late').counts).toEqual({ queued: 1 });
    });
  });
}

/** Lets the task of a job fail so often for want of memory. */
async function growMemory(book: Book, name: string, times: number): Promise<void> {
  for (let time = 0; time < times; time += 1) {
    const set = begin(book);
    const { id } = place(book.table, set, at('aachen', name));
    const failed = { failure: 'limit', reason: 'MEMORY_EXCEEDED' } as const;
    const outcome: Outcome = { ...DONE, ...failed };
    const report = {
      attemptId: id,
      atMs: set.nowMs,
      detail: '',
      state: 'failed',
      outcome,
    } as const;
    applyReport(book.table, set, siteId('aachen'), report, book.log);
    await commit(book, set);
  }
}

const asksOf = ({ db }: Book) => db.selectFrom('asks').select('id').execute();
