import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { commit } from '../../broker/book.ts';
import { type ChangeSet, openChange } from '../../broker/jobs/change-set.ts';
import { cancelJob, place, release } from '../../broker/jobs/moves.ts';
import { applyReport, type Report } from '../../broker/jobs/updates.ts';
import { attemptId, siteId } from '../../core/ids.ts';
import { askFor } from '../fakes/offers.ts';
import { at, type OpenBook, openBook } from '../fakes/open-book.ts';

const JOB = 'jabcd0123456';
const HOUR_MS = 3_600_000;
const START_MS = Date.now() - 10 * HOUR_MS;

let dir: string;
let book: OpenBook;
beforeEach(async () => {
  dir = mkdtempSync(join(tmpdir(), 'usage-'));
  book = await openBook(join(dir, 'ledger.db'));
});
afterEach(async () => {
  await book.db.destroy();
  rmSync(dir, { recursive: true });
});

/** The broker is gone, with whatever it had not committed, and another one reads its ledger. */
async function reopen(): Promise<void> {
  await book.db.destroy();
  book = await openBook(join(dir, 'ledger.db'));
}

const changeAt = (hours: number): ChangeSet =>
  openChange(START_MS + hours * HOUR_MS, book.nextEvent);
const report = (set: ChangeSet, state: Report['state'], hours: number, number = 1): void => {
  const told = { state, atMs: START_MS + hours * HOUR_MS, detail: '' };
  const id = attemptId(`${JOB}.0.${number}`);
  applyReport(book.table, set, siteId('aachen'), { ...told, attemptId: id }, book.log);
};
const usageAt = (hours: number): number => {
  const nowMs = START_MS + hours * HOUR_MS;
  return Math.round(book.table.shares.usageOf(book.table.shares.leafOf(askFor()), nowMs));
};

async function runFor(hours: number): Promise<void> {
  await book.add({ [JOB]: {} });
  const set = changeAt(0);
  place(book.table, set, at('aachen', JOB));
  report(set, 'running', 0);
  await commit(book, set);
  const end = changeAt(hours);
  report(end, 'done', hours);
  report(end, 'done', hours);
  await commit(book, end);
}

test('what a task has used is known after a restart, and fades', async () => {
  await runFor(2);
  expect(usageAt(2)).toBe(7_170);
  await reopen();
  expect(usageAt(2 + 168)).toBeCloseTo(7_170 / 2, -1);
});

test('what ran when the broker went accrues from its start', async () => {
  await book.add({ [JOB]: {} });
  const set = changeAt(0);
  place(book.table, set, at('aachen', JOB));
  report(set, 'running', 0);
  await commit(book, set);
  await reopen();
  expect(usageAt(10)).toBeGreaterThan(35_000);
  expect(usageAt(10)).toBeLessThan(36_061);
  expect(book.table.shares.leafOf(askFor())).toMatchObject({ runningTasks: 1, placedCpus: 1 });
});

test('an end that the ledger has not seen is charged once, when it is reported again', async () => {
  await book.add({ [JOB]: {} });
  const set = changeAt(0);
  place(book.table, set, at('aachen', JOB));
  report(set, 'running', 0);
  await commit(book, set);
  report(changeAt(2), 'done', 2);
  expect(usageAt(2)).toBe(7_170);
  await reopen();
  const again = changeAt(3);
  report(again, 'done', 2);
  await commit(book, again);
  await reopen();
  expect(usageAt(12)).toBeCloseTo(7_170 * 2 ** (-10 / 168), -1);
});

test('usage and the end of the attempt are one transaction', async () => {
  await runFor(1);
  const ended = await book.db.selectFrom('attempts').select('ended_ms').execute();
  const usage = await book.db.selectFrom('usage').selectAll().execute();
  expect(ended).toEqual([{ ended_ms: START_MS + HOUR_MS }]);
  expect(usage).toMatchObject([{ vo: 'demo', group_path: '/demo', owner: askFor().owner }]);
});

test('an attempt that was let go is charged until then, and not for its late result', async () => {
  await book.add({ [JOB]: {} });
  const set = changeAt(0);
  const attempt = place(book.table, set, at('aachen', JOB));
  report(set, 'running', 0);
  release(book.table, changeAt(1), attempt, { reason: 'SITE_LOST', detail: 'gone' });
  const charged = usageAt(1);
  expect(charged).toBeGreaterThan(3_580);
  report(changeAt(2), 'done', 2);
  expect(usageAt(1)).toBe(charged);
});

test('tasks that wait are counted, until they are placed or cancelled', async () => {
  await book.add({ [JOB]: { tasks: 5 }, jabcd0123457: { tasks: 7 } });
  const share = () => book.table.shares.leafOf(askFor());
  expect(share().queuedTasks).toBe(12);
  const set = changeAt(0);
  const attempt = place(book.table, set, at('aachen', JOB));
  expect(share()).toMatchObject({ queuedTasks: 11, placedCpus: 1 });
  release(book.table, set, attempt, { reason: 'SITE_LOST', detail: 'gone' });
  expect(share()).toMatchObject({ queuedTasks: 12, placedCpus: 0 });
  cancelJob(book.table, set, book.get(JOB), { reason: 'CANCELLED', detail: '' });
  await commit(book, set);
  expect(share().queuedTasks).toBe(7);
  await reopen();
  expect(share().queuedTasks).toBe(7);
});
