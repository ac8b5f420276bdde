import { copyFileSync, existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { begin, commit } from '../../broker/book.ts';
import { openLedger } from '../../broker/ledger.ts';
import { place, release } from '../../broker/moves.ts';
import { applyReport } from '../../broker/updates.ts';
import { siteId } from '../../core/ids.ts';
import { at, openBook } from '../fakes/open-book.ts';

let dir: string;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'ledger-'));
});
afterEach(() => rmSync(dir, { recursive: true }));

/** What is on the disk at this moment, as a crash would leave it. */
function crashed(file: string): string {
  const copy = `${file}.crashed`;
  for (const end of ['', '-wal']) if (existsSync(file + end)) copyFileSync(file + end, copy + end);
  return copy;
}

test('the epoch rises each time that the ledger is opened', async () => {
  const file = join(dir, 'ledger.db');
  const epochs: number[] = [];
  for (let n = 0; n < 3; n += 1) {
    const { db, epoch } = await openLedger(file);
    epochs.push(epoch);
    await db.destroy();
  }
  expect(epochs).toEqual([1, 2, 3]);
});

test('what was acknowledged is there after a crash: jobs, tasks, attempts, what waits for what', async () => {
  const file = join(dir, 'ledger.db');
  const book = await openBook(file);
  await book.add({ array: { tasks: 5 }, last: { after: ['array'] } });
  const set = begin(book);
  const attempts = [0, 1, 2].map((ordinal) =>
    place(book.table, set, at('aachen', 'array', ordinal)),
  );
  const [first, second] = attempts;
  const site = siteId('aachen');
  const report = { atMs: Date.now(), detail: '' };
  if (first !== undefined)
    applyReport(
      book.table,
      set,
      site,
      { ...report, attemptId: first.id, state: 'running' },
      book.log,
    );
  const why = { reason: 'SITE_LOST', detail: 'gone' };
  if (second !== undefined) release(book.table, set, second, why, true);
  await commit(book, set);

  const again = await openBook(crashed(file));
  const job = again.get('array');
  expect(job.counts).toEqual({ queued: 3, matched: 1, running: 1 });
  expect(job.nextOrdinal).toBe(3);
  expect([...job.open.values()].map(({ ordinal, state }) => [ordinal, state])).toEqual([
    [0, 'running'],
    [1, 'queued'],
    [2, 'matched'],
  ]);
  expect(job.open.get(1)).toMatchObject({ avoid: ['aachen'], releases: 1, reason: 'SITE_LOST' });
  expect(job.open.get(1)?.released.map(({ id }) => id)).toEqual(['array.1.1']);
  expect([...again.table.attempts.keys()].toSorted()).toEqual(['array.0.1', 'array.2.1']);
  expect([...again.table.inUse.values()]).toEqual([2]);
  expect([...again.get('last').waitsFor]).toEqual(['array']);
  const items = again.table.queues.list().flatMap((queue) => [...queue.items]);
  expect(items.map(({ job: id, firstOrdinal, tasks }) => [id, firstOrdinal, tasks])).toEqual([
    ['array', 1, 1],
    ['array', 3, 2],
  ]);
  await book.db.destroy();
  await again.db.destroy();
});

test('many changes of one moment are one commit, and a row that changed twice is written once', async () => {
  const book = await openBook(join(dir, 'ledger.db'));
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
  await book.db.destroy();
});

test('when the ledger cannot be written nobody is told otherwise, and the broker learns of it', async () => {
  const book = await openBook(join(dir, 'ledger.db'));
  await book.add({ job: {} });
  const events = await book.db.selectFrom('events').selectAll().execute();
  const twice = book.recorder.record({ events });
  const innocent = book.recorder.record({ cursors: [{ site: 'x', journal: 'y', seq: 1 }] });
  await expect(twice).rejects.toThrow('the ledger cannot be written');
  await expect(innocent).rejects.toThrow('the ledger cannot be written');
  await expect(book.recorder.settled()).rejects.toThrow('the ledger cannot be written');
  expect(book.failures).toHaveLength(1);
  expect(await book.db.selectFrom('cursors').selectAll().execute()).toEqual([]);
  await book.db.destroy();
});
