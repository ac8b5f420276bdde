import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { type Book, begin, commit } from '../../broker/book.ts';
import { NO_SWEEPER } from '../../broker/data/sweeper.ts';
import { type History, openHistory } from '../../broker/jobs/history.ts';
import { cancelJob } from '../../broker/jobs/moves.ts';
import { openRetry } from '../../broker/jobs/retry-job.ts';
import type { LedgerPlace } from '../../broker/ledger/open-ledger.ts';
import { readable } from '../../broker/visible.ts';
import { dn, jobId } from '../../core/ids.ts';
import { ALICE } from '../fakes/callers.ts';
import { age, endAll, finishAll } from '../fakes/finished-jobs.ts';
import { type OpenBook, openBook } from '../fakes/open-book.ts';
import { submitTo, wanted } from '../fakes/submit-to.ts';

const DAY_MS = 86_400_000;
const ACCESS = { admins: [], vos: ['demo'] };

/** How old jobs leave a ledger, wherever it lies; `fresh` gives one that nobody has used yet. */
export function historyContract(name: string, fresh: () => Promise<LedgerPlace>): void {
  describe(`history on ${name}`, () => {
    let here: LedgerPlace;
    const opened: AsyncDisposable[] = [];
    const openHere = async (): Promise<OpenBook> => {
      const book = await openBook(here);
      opened.unshift(book);
      return book;
    };
    const historyOf = (book: Book): History => {
      const history = openHistory({ book, keepMs: DAY_MS });
      opened.unshift(history);
      return history;
    };
    beforeEach(async () => {
      here = await fresh();
    });
    afterEach(async () => {
      for (const each of opened.splice(0)) await each[Symbol.asyncDispose]();
    });

    test('ten thousand old jobs go while new ones are accepted', async () => {
      const book = await openHere();
      await endAll(book, namesOf('old', 10_000));
      await age(book, 'old');
      const history = historyOf(book);
      let isOver = false;
      const pass = history.pass().finally(() => {
        isOver = true;
      });
      const left: number[] = [];
      for (let n = 0; !isOver; n += 1) {
        await book.add({ [`new${n}`]: {} });
        left.push((await idsOf(book)).filter((id) => id.startsWith('old')).length);
      }
      expect(await pass).toBe(10_000);
      expect(left.some((count) => count > 0 && count < 10_000)).toBe(true);
      expect(await idsOf(book)).toHaveLength(left.length);
      expect(await rowsLeft(book, 'old')).toEqual({ tasks: 0, attempts: 0, events: 0 });
      expect(await treesOf(book)).toEqual([]);
      const past = await book.db.selectFrom('history').select(['state', 'rest']).execute();
      expect(past).toHaveLength(10_000);
      expect(past.every(({ state, rest }) => state === 'done' && rest === 0)).toBe(true);
      expect(book.failures).toEqual([]);
    }, 120_000);

    test('a tree that a broker left without a name when it was ended goes', async () => {
      const book = await openHere();
      await endAll(book, ['young']);
      const lost = Array.from({ length: 1_500 }, (_, at) => ({ digest: `lost ${at}` }));
      const rest = { total_bytes: 1, files: 1, manifest: null };
      await book.recorder.record({ trees: lost.map((tree) => ({ ...tree, ...rest })) });
      await historyOf(book).pass();
      expect(await treesOf(book)).toEqual(['tree of young']);
    });

    test('what is open, young or needed stays, with its trees', async () => {
      const book = await openHere();
      await endAll(book, ['plain', 'settled', 'awaited', 'held', 'young', 'first', 'last']);
      await book.add({
        open: {},
        heir: { after: ['settled'] },
        waiter: { after: ['awaited:any'] },
      });
      await age(book, 'plain', 'settled', 'awaited', 'held', 'open', 'first', 'heir', 'waiter');
      await book.db
        .updateTable('jobs')
        .set({ flow_id: 'flow' })
        .where('id', 'in', ['first', 'last'])
        .execute();
      const flow = { id: 'flow', seq: 1, owner: 'x', vo: 'demo', name: '', submitted_ms: 1 };
      await book.recorder.record({ flows: [flow] });
      await shareTree(book, 'young', 'plain');
      const history = historyOf(book);
      {
        using _held = book.holds.hold(['held']);
        expect(await history.pass()).toBe(1);
      }
      const all = [
        'awaited',
        'first',
        'heir',
        'held',
        'last',
        'open',
        'settled',
        'waiter',
        'young',
      ];
      expect(await idsOf(book)).toEqual(all);
      expect(await treesOf(book)).toEqual(
        ['awaited', 'first', 'held', 'last', 'plain', 'settled'].map((id) => `tree of ${id}`),
      );
      expect(await history.pass()).toBe(1);
      expect(await idsOf(book)).not.toContain('held');
      expect(await book.db.selectFrom('flows').select('id').execute()).toEqual([{ id: 'flow' }]);

      const set = begin(book);
      for (const id of ['heir', 'waiter'])
        cancelJob(book.table, set, book.get(id), { reason: 'CANCELLED', detail: '' });
      await commit(book, set);
      await age(book, 'young', 'last');
      expect(await history.pass()).toBe(5);
      expect(await idsOf(book)).toEqual(['heir', 'open', 'waiter']);
      expect(await treesOf(book)).toEqual([]);
      expect(await book.db.selectFrom('flows').selectAll().execute()).toEqual([]);
    });

    test('what a submission has found stays though a pass comes between', async () => {
      const book = await openHere();
      const meanwhile: History[] = [];
      const admit = async (): Promise<void> => {
        for (const history of meanwhile) await history.pass();
      };
      const submit = await submitTo(book, { ...NO_SWEEPER, admit });
      const olds = await submit(ALICE, 'old', [wanted('found'), wanted('other')]);
      const [found = '', other = ''] = olds;
      await finishAll(book, [found, other]);
      await age(book, found, other);
      const history = historyOf(book);
      meanwhile.push(history);
      const after = (job: string) => [wanted('new', { after: [{ job: jobId(job), when: 'ok' }] })];
      const ids = await submit(ALICE, 'new', after(found));
      expect(await history.pass()).toBe(0);
      expect(await idsOf(book)).toEqual([found, ...ids]);
      const late = submit(ALICE, 'late', after(other));
      await expect(late).rejects.toMatchObject({ code: 'SPEC_INVALID' });
    });

    test('the tree of a dataset stays when the job that made it goes', async () => {
      const book = await openHere();
      await endAll(book, ['maker', 'other']);
      await age(book, 'maker', 'other');
      const named = { vo: 'demo', name: 'hg38', version: 1, owner: 'x', created_ms: 1, shared: 0 };
      const ends = { expires_ms: null, removed_ms: null, released: 0 };
      const tree = { tree: 'tree of maker', total_bytes: 1, files: 1 };
      await book.recorder.record({ datasets: [{ ...named, ...tree, ...ends }] });
      await historyOf(book).pass();
      expect(await treesOf(book)).toEqual(['tree of maker']);
    });

    test('a large job goes bit by bit, and the next broker goes on with it', async () => {
      const book = await openHere();
      await endAll(book, ['array'], 5_000);
      await age(book, 'array');
      const history = historyOf(book);
      const pass = history.pass();
      await history[Symbol.asyncDispose]();
      expect(await pass).toBe(1);
      expect(await idsOf(book)).toEqual([]);
      const { tasks } = await rowsLeft(book, 'array');
      expect(tasks).toBe(4_000);
      await book[Symbol.asyncDispose]();

      const again = await openHere();
      await endAll(again, ['next']);
      await age(again, 'next');
      expect(await historyOf(again).pass()).toBe(1);
      expect(await rowsLeft(again, 'array')).toEqual({ tasks: 0, attempts: 0, events: 0 });
      expect(await treesOf(again)).toEqual([]);
      const past = await again.db.selectFrom('history').selectAll().orderBy('seq').execute();
      expect(past.map(({ id, seq, rest }) => [id, seq, rest])).toEqual([
        ['array', 1, 0],
        ['next', 2, 0],
      ]);
    }, 60_000);

    test('whoever may see the job is told what became of it', async () => {
      const book = await openHere();
      await endAll(book, ['gone', 'kept']);
      await book.db
        .updateTable('jobs')
        .set({ after: '["gone"]' })
        .where('id', '=', 'kept')
        .execute();
      await age(book, 'gone');
      await historyOf(book).pass();
      const parts = { book, access: ACCESS };
      const told = readable(parts, ALICE, 'gone');
      await expect(told).rejects.toMatchObject({
        code: 'JOB_ARCHIVED',
        message: expect.stringMatching(
          /^job gone \('gone', submitted 2.*Z\) has ended done at 2.*Z; it was removed/,
        ),
      });
      const stranger = { ...ALICE, dn: dn('/CN=Eve'), fqans: [] };
      await expect(readable(parts, stranger, 'gone')).rejects.toMatchObject({
        code: 'JOB_NOT_FOUND',
      });
      expect(await readable(parts, ALICE, 'kept')).toBe('kept');
      const retry = openRetry(book, () => undefined);
      const wish = { id: jobId('kept'), failedOnly: false, ordinals: [], by: 'Alice' };
      await expect(retry(wish)).rejects.toMatchObject({
        code: 'JOB_EVENT_REFUSED',
        message: 'job kept comes after gone, which was removed for its age',
      });
    });

    test('a clock that jumps ahead makes nothing old', async () => {
      const book = await openHere();
      await endAll(book, ['young', 'old']);
      await age(book, 'old');
      let jumpMs = 0;
      const clock = { ...book.clock, nowMs: () => book.clock.nowMs() + jumpMs };
      const history = historyOf({ ...book, clock });
      jumpMs = 100 * DAY_MS;
      expect(await history.pass()).toBe(1);
      expect(await idsOf(book)).toEqual(['young']);
    });

    test('submissions of long ago are forgotten, those of today are not', async () => {
      const book = await openHere();
      const nowMs = book.clock.nowMs();
      const of = (submit_key: string, at_ms: number) => ({
        owner: 'x',
        submit_key,
        hash: '',
        job_ids: '[]',
        at_ms,
      });
      await book.recorder.record({ submits: [of('old', nowMs - 2 * DAY_MS), of('new', nowMs)] });
      await historyOf(book).pass();
      const left = await book.db.selectFrom('submits').select('submit_key').execute();
      expect(left).toEqual([{ submit_key: 'new' }]);
    });
  });
}

const namesOf = (name: string, count: number): readonly string[] =>
  Array.from({ length: count }, (_, n) => `${name}${n}`);

async function idsOf(book: Book): Promise<readonly string[]> {
  await book.recorder.settled();
  const rows = await book.db.selectFrom('jobs').select('id').execute();
  return rows.map(({ id }) => id).toSorted();
}

const treesOf = async ({ db }: Book): Promise<readonly string[]> =>
  (await db.selectFrom('trees').select('digest').execute()).map(({ digest }) => digest).toSorted();

/** Lets one job's task have left the tree of another's. */
async function shareTree({ db }: Book, job: string, other: string): Promise<void> {
  const outputs = `tree of ${other}`;
  await db.updateTable('attempts').set({ outputs }).where('job_id', '=', job).execute();
  await db.deleteFrom('trees').where('digest', '=', `tree of ${job}`).execute();
}

async function rowsLeft({ db }: Book, name: string) {
  const count = async (table: 'tasks' | 'attempts' | 'events'): Promise<number> => {
    const rows = await db
      .selectFrom(table)
      .select('job_id')
      .where('job_id', 'like', `${name}%`)
      .execute();
    return rows.length;
  };
  return {
    tasks: await count('tasks'),
    attempts: await count('attempts'),
    events: await count('events'),
  };
}
