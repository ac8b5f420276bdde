import { afterEach, beforeEach, expect, test } from 'vitest';
import { begin, commit } from '../../../broker/book.ts';
import { cancelJob, closeAttempt, endTask, place } from '../../../broker/jobs/moves.ts';
import { openRetry, type Retry } from '../../../broker/jobs/retry-job.ts';
import { jobId } from '../../../core/ids.ts';
import { at, type OpenBook, openBook } from '../../fakes/open-book.ts';

const JOB = jobId('jarray000001');
/** More than are queued at a time. */
const TASKS = 1_200;
const WISH = { id: JOB, failedOnly: false, ordinals: [], by: 'somebody' };

let book: OpenBook;
let again: Retry;
let rounds: number;
beforeEach(async () => {
  book = await openBook(':memory:');
  rounds = 0;
  again = openRetry(book, () => {
    rounds += 1;
  });
  await book.add({ [JOB]: { tasks: TASKS } });
  const set = begin(book);
  for (let ordinal = 0; ordinal < TASKS; ordinal += 1) {
    const attempt = place(book.table, set, at('aachen', JOB, ordinal));
    closeAttempt(book.table, set, attempt, { state: 'failed', atMs: set.nowMs });
    endTask(book.table, set, attempt.task, 'fail', { reason: 'EXIT', detail: 'exit 1' });
  }
  await commit(book, set);
});
afterEach(() => book.db.destroy());

const waiting = (): readonly number[] =>
  [...book.get(JOB).open.values()].map(({ ordinal }) => ordinal).toSorted((a, b) => a - b);

test('a large array is tried again in parts, with rounds between them', async () => {
  expect(await again(WISH)).toBe(TASKS);
  expect(book.get(JOB).counts).toMatchObject({ queued: TASKS, failed: 0 });
  expect(waiting()).toEqual(Array.from({ length: TASKS }, (_, n) => n));
  expect(rounds).toBeGreaterThan(1);
});

test('of many tasks that are named each is tried again once', async () => {
  const ordinals = Array.from({ length: 700 }, (_, n) => 2 * (n % 600)).toReversed();
  expect(await again({ ...WISH, ordinals })).toBe(600);
  expect(waiting()).toEqual(Array.from({ length: 600 }, (_, n) => 2 * n));
  await expect(again({ ...WISH, ordinals: [1, 2, 1_300] })).rejects.toThrow('task 2 of job');
});

test('who cancels the job while it is retried has the last word', async () => {
  const retrying = again(WISH);
  while (!book.table.jobs.has(JOB)) await new Promise(setImmediate);
  const set = begin(book);
  cancelJob(book.table, set, book.get(JOB), { reason: 'CANCELLED', detail: 'enough' });
  await commit(book, set);
  expect(await retrying).toBeLessThan(TASKS);
  expect(book.table.jobs.has(JOB)).toBe(false);
});
