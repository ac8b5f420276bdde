import { afterEach, beforeEach, expect, test } from 'vitest';
import { begin, commit } from '../../../broker/book.ts';
import type { ChangeSet } from '../../../broker/jobs/change-set.ts';
import { holdJob } from '../../../broker/jobs/job-moves.ts';
import { loadTable } from '../../../broker/jobs/load-table.ts';
import { cancelJob, place, release } from '../../../broker/jobs/moves.ts';
import { applyReport, type Report } from '../../../broker/jobs/updates.ts';
import { attemptId, jobId, siteId } from '../../../core/ids.ts';
import type { JobState } from '../../../core/job/state.ts';
import { round } from '../../../core/match/match.ts';
import { sharesFromUse } from '../../../core/share/shares.ts';
import { NO_RULES, siteOf } from '../../fakes/offers.ts';
import { at, type OpenBook, openBook } from '../../fakes/open-book.ts';

let book: OpenBook;
let set: ChangeSet;
beforeEach(async () => {
  book = await openBook(':memory:');
  set = begin(book);
});
afterEach(() => book.db.destroy());

const JOB = 'jabcd0123456';
const LOST = { reason: 'SITE_LOST', detail: 'gone' };
const report = (site: string, id: string, state: Report['state'], more: Partial<Report> = {}) =>
  applyReport(
    book.table,
    set,
    siteId(site),
    { attemptId: attemptId(id), atMs: Date.now(), state, detail: '', ...more },
    book.log,
  );
const states = async (): Promise<readonly (readonly [string, string])[]> => {
  await commit(book, set);
  const rows = await book.db.selectFrom('job_state').selectAll().orderBy('job_id').execute();
  return rows.map(({ job_id, state }) => [job_id, state]);
};

test('reports may repeat, skip and come twice', async () => {
  await book.add({ jabcd0123456: {} });
  place(book.table, set, at('aachen', JOB));
  for (const state of ['running', 'staging-in', 'running', 'done', 'done', 'running'] as const)
    report('aachen', 'jabcd0123456.0.1', state);
  expect(await states()).toEqual([[JOB, 'done']]);
  const events = await book.db.selectFrom('events').select('kind').orderBy('seq').execute();
  expect(events.map(({ kind }) => kind)).toEqual(['accept', 'match', 'start', 'finish', 'end']);
});

test('a task that waits in a batch system is told why as that changes, and only while it waits', async () => {
  await book.add({ jabcd0123456: {} });
  place(book.table, set, at('aachen', JOB));
  const wait = (detail: string) => report('aachen', 'jabcd0123456.0.1', 'submitted', { detail });
  const told = async (): Promise<unknown> => {
    await commit(book, set);
    set = begin(book);
    const task = await book.db.selectFrom('tasks').select('detail').executeTakeFirst();
    const job = await book.db.selectFrom('job_state').select('detail').executeTakeFirst();
    return [task?.detail, job?.detail];
  };
  wait('waits in HTCondor');
  wait('waits in HTCondor: held: ask Ada');
  expect(await told()).toEqual(Array(2).fill('waits in HTCondor: held: ask Ada'));
  wait('');
  expect(await told()).toEqual(Array(2).fill('waits in HTCondor: held: ask Ada'));
  report('aachen', 'jabcd0123456.0.1', 'running');
  wait('waits in HTCondor: no match found');
  expect(await told()).toEqual(['', '']);
  const events = await book.db.selectFrom('events').select('kind').orderBy('seq').execute();
  expect(events.map(({ kind }) => kind)).toEqual(['accept', 'match', 'submit', 'start']);
});

test('a task whose files wait for something is told what, that they move again, and how far they are', async () => {
  await book.add({ jabcd0123456: {} });
  place(book.table, set, at('aachen', JOB));
  const told = async (detail: string, state: JobState = 'staging-in'): Promise<unknown> => {
    report('aachen', 'jabcd0123456.0.1', state, { detail });
    await commit(book, set);
    set = begin(book);
    return (await book.db.selectFrom('job_state').select('detail').executeTakeFirst())?.detail;
  };
  expect(await told('')).toBe('');
  expect(await told('waits for data.example.org')).toBe('waits for data.example.org');
  expect(await told('')).toBe('');
  expect(await told('', 'running')).toBe('');
  expect(await told('1 GiB of 2 GiB', 'running')).toBe('1 GiB of 2 GiB');
  const events = await book.db.selectFrom('events').select('kind').orderBy('seq').execute();
  expect(events.map(({ kind }) => kind)).toEqual(['accept', 'match', 'stageIn', 'start']);
});

test("a site cannot report of another site's attempt", async () => {
  await book.add({ jabcd0123456: {} });
  place(book.table, set, at('aachen', JOB));
  expect(report('bremen', 'jabcd0123456.0.1', 'done')).toEqual([]);
  expect(await states()).toEqual([[JOB, 'matched']]);
});

test('a site has the VOs of its live attempts until the last of each has left', async () => {
  await book.add({ jabcd0123456: {}, jabcd0123457: {} });
  const vos = (site: string) => book.table.vosAt(siteId(site));
  expect(vos('aachen')).toEqual([]);
  const first = place(book.table, set, at('aachen', JOB));
  place(book.table, set, at('aachen', 'jabcd0123457'));
  expect(vos('aachen')).toEqual([first.task.job.vo]);
  expect(vos('bremen')).toEqual([]);
  release(book.table, set, first, LOST);
  expect(vos('aachen')).toEqual([first.task.job.vo]);
  report('aachen', 'jabcd0123457.0.1', 'done');
  expect(vos('aachen')).toEqual([]);
});

test('a backlog is as long as attempts in it have neither started nor left', async () => {
  await book.add({ jabcd0123456: {}, jabcd0123457: {}, jabcd0123458: {} });
  const waiting = () => book.table.waitingAt(siteId('aachen'));
  const queue = (id: string) => place(book.table, set, { ...at('aachen', id), backlog: true });
  const first = queue(JOB);
  queue('jabcd0123457');
  place(book.table, set, at('aachen', 'jabcd0123458'));
  expect(waiting()).toBe(2);
  report('aachen', 'jabcd0123457.0.1', 'running');
  report('aachen', 'jabcd0123457.0.1', 'done');
  report('aachen', 'jabcd0123458.0.1', 'done');
  expect(waiting()).toBe(1);
  release(book.table, set, first, LOST);
  expect(waiting()).toBe(0);
});

test('a late result of a task that waits again counts, and the task waits no more', async () => {
  await book.add({ jabcd0123456: {} });
  const attempt = place(book.table, set, at('aachen', JOB));
  release(book.table, set, attempt, LOST);
  expect(report('aachen', 'jabcd0123456.0.1', 'done')).toEqual([]);
  expect(await states()).toEqual([[JOB, 'done']]);
  expect(book.table.queues.list()).toEqual([]);
});

test('a late result counts for a task that is held, too', async () => {
  await book.add({ jabcd0123456: { tasks: 2 } });
  const attempt = place(book.table, set, at('aachen', JOB));
  holdJob(set, book.get(JOB), { reason: 'HELD_BY_OWNER', detail: 'wait' });
  release(book.table, set, attempt, LOST);
  expect(report('aachen', 'jabcd0123456.0.1', 'done')).toEqual([]);
  expect(book.get(JOB).counts).toMatchObject({ done: 1, held: 1, queued: 0 });
});

test('of two results the first counts', async () => {
  await book.add({ jabcd0123456: {} });
  release(book.table, set, place(book.table, set, at('aachen', JOB)), LOST);
  place(book.table, set, at('bremen', JOB));
  report('bremen', 'jabcd0123456.0.2', 'done');
  report('aachen', 'jabcd0123456.0.1', 'failed');
  expect(await states()).toEqual([[JOB, 'done']]);
  const rows = await book.db.selectFrom('attempts').selectAll().orderBy('id').execute();
  expect(rows.map(({ id, state }) => [id, state])).toEqual([
    ['jabcd0123456.0.1', 'released'],
    ['jabcd0123456.0.2', 'done'],
  ]);
});

test('an attempt that was let go and still lives shall be ended', async () => {
  await book.add({ jabcd0123456: {} });
  release(book.table, set, place(book.table, set, at('aachen', JOB)), LOST);
  expect(report('aachen', 'jabcd0123456.0.1', 'running')).toEqual([
    { site: 'aachen', attemptId: 'jabcd0123456.0.1' },
  ]);
});

test('a task that comes back twice between two rounds stands in its queue once', async () => {
  await book.add({ jabcd0123456: {} });
  book.table.queues.list();
  release(book.table, set, place(book.table, set, at('aachen', JOB)), LOST);
  release(book.table, set, place(book.table, set, at('aachen', JOB)), LOST);
  const { placements } = round({
    nowMs: set.nowMs + 60_000,
    sites: [siteOf('aachen')],
    queues: book.table.queues.list(),
    shares: sharesFromUse([]),
    rules: NO_RULES,
    limit: 10,
  });
  expect(placements).toHaveLength(1);
});

test('a site that ends an attempt on its own account does not cancel the job', async () => {
  await book.add({ jabcd0123456: {} });
  place(book.table, set, at('aachen', JOB));
  report('aachen', 'jabcd0123456.0.1', 'cancelled');
  expect(await states()).toEqual([[JOB, 'queued']]);
  expect(book.get(JOB).open.get(0)).toMatchObject({
    reason: 'SITE_CANCELLED',
    avoid: ['aachen'],
  });
});

test('a chain of five thousand jobs ends with its first', async () => {
  const names = Array.from({ length: 5_000 }, (_, n) => `j${String(n).padStart(5, '0')}`);
  await book.add(
    Object.fromEntries(
      names.map((name, n) => [name, { after: n === 0 ? [] : [names[n - 1] ?? ''] }]),
    ),
  );
  cancelJob(book.table, set, book.get('j00000'), { reason: 'CANCELLED', detail: 'enough' });
  const ended = await states();
  expect(new Set(ended.map(([, state]) => state))).toEqual(new Set(['cancelled']));
  expect(ended).toHaveLength(5_000);
  expect(book.table.jobs.size).toBe(0);
});

test('older jobs go first, also those that waited for others', async () => {
  await book.add({ first: {}, second: { after: ['first'] }, third: {} });
  place(book.table, set, at('aachen', 'first'));
  report('aachen', 'first.0.1', 'done');
  const items = book.table.queues.list().flatMap((queue) => [...queue.items]);
  expect(items.map(({ job }) => job)).toEqual(['second', 'third']);
});

const itemsOf = () =>
  book.table.queues
    .list()
    .map(({ key, items }) => [
      key,
      [...items].map(({ firstOrdinal, left }) => [firstOrdinal, left]),
    ]);
const outcome = (failure: 'limit' | 'owner', reason: string) => ({
  outcome: {
    exitCode: 137,
    signal: 9,
    failure,
    reason,
    detail: 'because',
    usage: { cpuMs: 0, wallMs: 0, peakMemoryBytes: 0, bytesIn: 0, bytesOut: 0 },
    outputs: { digest: '', totalBytes: 0, files: 0 },
  },
});

test('a task with more memory waits in a class of its own, and in no other', async () => {
  await book.add({ jabcd0123456: { retryMemory: 2 } });
  book.table.queues.list();
  for (const number of [1, 2]) {
    place(book.table, set, at('aachen', JOB));
    report('aachen', `${JOB}.0.${number}`, 'failed', outcome('limit', 'MEMORY_EXCEEDED'));
  }
  expect(itemsOf()).toEqual([['3', [[0, undefined]]]]);
  await commit(book, set);
  const asks = await book.db.selectFrom('asks').select('id').orderBy('id').execute();
  expect(asks.map(({ id }) => id)).toEqual([1, 2, 3]);
});

test('what is left of max-running counts what is at sites, and goes up when something ends', async () => {
  await book.add({ jabcd0123456: { tasks: 9, maxRunning: 2 } });
  expect(itemsOf()).toEqual([['1', [[0, 2]]]]);
  place(book.table, set, at('aachen', JOB));
  place(book.table, set, at('aachen', JOB, 1));
  expect(itemsOf()).toEqual([['1', []]]);
  report('aachen', `${JOB}.0.1`, 'failed', outcome('owner', 'OWNER_RETURNED'));
  expect(itemsOf()).toEqual([
    [
      '1',
      [
        [0, 1],
        [2, 1],
      ],
    ],
  ]);
});
test('each condition of `after` is settled when the other job ends', async () => {
  await book.add({
    first: {},
    ok: { after: ['first'] },
    any: { after: ['first:any'] },
    failing: { after: ['first:not-ok'] },
    later: { after: ['failing:any', 'any'] },
  });
  place(book.table, set, at('aachen', 'first'));
  report('aachen', 'first.0.1', 'done');
  expect(await states()).toEqual([
    ['any', 'queued'],
    ['failing', 'cancelled'],
    ['first', 'done'],
    ['later', 'queued'],
    ['ok', 'queued'],
  ]);
  const rows = await book.db.selectFrom('job_state').selectAll().orderBy('job_id').execute();
  expect(rows.map(({ reason, waits_for }) => [reason, waits_for])).toEqual([
    ['', '[]'],
    ['NOT_NEEDED', '["first"]'],
    ['', '[]'],
    ['', '["any"]'],
    ['', '[]'],
  ]);
});

test('what is settled stays settled over a restart, also when the other job is opened again', async () => {
  await book.add({ first: {}, second: { after: ['first:any'] } });
  cancelJob(book.table, set, book.get('first'), { reason: 'CANCELLED', detail: 'enough' });
  await commit(book, set);
  await book.db.updateTable('job_state').set({ ended_ms: null, state: 'queued' }).execute();
  const { table } = await loadTable(book.db, set.nowMs);
  expect(table.jobs.has(jobId('first'))).toBe(true);
  expect(table.jobs.get(jobId('second'))?.waitsFor).toEqual(new Set());
});
