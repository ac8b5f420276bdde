import { afterEach, beforeEach, expect, test } from 'vitest';
import { begin, commit } from '../../../broker/book.ts';
import { openHistory } from '../../../broker/jobs/history.ts';
import { loadTable } from '../../../broker/jobs/load-table.ts';
import { cancelJob, place, release } from '../../../broker/jobs/moves.ts';
import { applyReport, type Report } from '../../../broker/jobs/updates.ts';
import { openTreeCounter } from '../../../broker/room/count-trees.ts';
import { EMPTY_TREE, type TreeRef } from '../../../core/data/manifest.ts';
import { encodeManifest } from '../../../core/data/manifest-codec.ts';
import { attemptId, siteId } from '../../../core/ids.ts';
import { sha256 } from '../../../service/staging/chunk-store.ts';
import { memoryStore } from '../../fakes/memory-store.ts';
import { at, type OpenBook, openBook } from '../../fakes/open-book.ts';

const JOB = 'jabcd0123456';
const LOST = { reason: 'SITE_LOST', detail: 'gone' };
let book: OpenBook;
beforeEach(async () => {
  book = await openBook(':memory:');
  await book.add({ [JOB]: {} });
});
afterEach(() => book.db.destroy());

/** A tree with a file of this name, of as many bytes as the name has. */
const treeOf = (path: string): TreeRef => {
  const digest = sha256(Buffer.from(path));
  const sizeBytes = path.length;
  const slices = [{ digest, offset: 0, length: sizeBytes }];
  const manifest = encodeManifest({
    entries: [{ kind: 'file', path, mode: 0o644, sizeBytes, digest, slices }],
  });
  return { digest: sha256(manifest), totalBytes: sizeBytes, files: 1, manifest };
};
const digestOf = (path: string): string => treeOf(path).digest;
const live = (path: string, trouble = '') => ({
  live: { tree: path === '' ? EMPTY_TREE : treeOf(path), atMs: 17, trouble },
});
const results = (tree: TreeRef) => ({
  outcome: {
    exitCode: 0,
    signal: 0,
    reason: '',
    detail: '',
    usage: { cpuMs: 0, wallMs: 0, peakMemoryBytes: 0, bytesIn: 0, bytesOut: 0 },
    outputs: tree,
  },
});

const report = async (
  number: number,
  site: string,
  state: Report['state'],
  more: Partial<Report> = {},
): Promise<void> => {
  const set = begin(book);
  const id = attemptId(`${JOB}.0.${number}`);
  const told = { attemptId: id, atMs: Date.now(), state, detail: '', ...more };
  applyReport(book.table, set, siteId(site), told, book.log);
  await commit(book, set);
  await book.recorder.settled();
};
const placeAt = async (site: string) => {
  const set = begin(book);
  const attempt = place(book.table, set, at(site, JOB));
  await commit(book, set);
  return attempt;
};
const trees = async (): Promise<readonly string[]> =>
  (await book.db.selectFrom('trees').select('digest').execute()).map(({ digest }) => digest);
/** What a broker that starts now knows of the task. */
const known = async () => {
  const { table } = await loadTable(book.db, Date.now());
  const [job] = [...table.jobs.values()];
  return job?.open.get(0)?.live;
};

test('the latest state takes the place of the one before, whose tree goes, and outlives a restart', async () => {
  await placeAt('aachen');
  await report(1, 'aachen', 'running');
  await report(1, 'aachen', 'running', live('a'));
  expect(await trees()).toEqual([digestOf('a')]);
  await report(1, 'aachen', 'running', live('ab'));
  expect(await trees()).toEqual([digestOf('ab')]);
  const state = { attempt: `${JOB}.0.1`, site: 'aachen', atMs: 17, trouble: '' };
  expect(await known()).toMatchObject({ ...state, tree: { digest: digestOf('ab'), files: 1 } });
  expect(book.get(JOB).counts).toEqual({ queued: 0, matched: 0, running: 1 });
});

test('why there is nothing newer is kept beside what there is', async () => {
  await placeAt('aachen');
  await report(1, 'aachen', 'running', live('a'));
  await report(1, 'aachen', 'running', live('', 'STORE_QUOTA: full'));
  expect(await known()).toMatchObject({
    tree: { digest: digestOf('a') },
    trouble: 'STORE_QUOTA: full',
  });
  await report(1, 'aachen', 'running', live('b'));
  expect(await known()).toMatchObject({ tree: { digest: digestOf('b') }, trouble: '' });
});

test('trouble is told also where there is nothing yet', async () => {
  await placeAt('aachen');
  await report(1, 'aachen', 'running', live('', 'STORE_QUOTA: full'));
  expect(await known()).toMatchObject({ tree: { digest: '' }, trouble: 'STORE_QUOTA: full' });
});

test('it is kept when the site is lost, until the next attempt has something', async () => {
  const attempt = await placeAt('aachen');
  await report(1, 'aachen', 'running', live('a'));
  const set = begin(book);
  release(book.table, set, attempt, LOST);
  await commit(book, set);
  await placeAt('bremen');
  await report(2, 'bremen', 'running');
  expect(await known()).toMatchObject({ attempt: `${JOB}.0.1`, site: 'aachen' });
  // What the lost site says later is of an attempt that was let go.
  await report(1, 'aachen', 'running', live('late'));
  expect(await known()).toMatchObject({ attempt: `${JOB}.0.1`, tree: { digest: digestOf('a') } });
  await report(2, 'bremen', 'running', live('b'));
  expect(await known()).toMatchObject({ attempt: `${JOB}.0.2`, site: 'bremen' });
  expect(await trees()).toEqual([digestOf('b')]);
});

test('an end without results keeps it, and results take its place', async () => {
  await placeAt('aachen');
  await report(1, 'aachen', 'running', live('a'));
  await report(1, 'aachen', 'cancelled', results(EMPTY_TREE));
  expect(await known()).toMatchObject({ attempt: `${JOB}.0.1` });
  await placeAt('bremen');
  await report(2, 'bremen', 'done', results(treeOf('final')));
  expect(await trees()).toEqual([digestOf('final')]);
  const [row] = await book.db.selectFrom('tasks').select(['live', 'live_tree']).execute();
  expect(row).toEqual({ live: null, live_tree: '' });
});

test('a tree that has become the result stays', async () => {
  await placeAt('aachen');
  await report(1, 'aachen', 'running', live('a'));
  await report(1, 'aachen', 'done', results(treeOf('a')));
  expect(await trees()).toEqual([digestOf('a')]);
});

test('it goes with its job when that is old', async () => {
  const attempt = await placeAt('aachen');
  await report(1, 'aachen', 'running', live('a'));
  const set = begin(book);
  release(book.table, set, attempt, LOST);
  cancelJob(book.table, set, book.get(JOB), { reason: 'CANCELLED', detail: 'enough' });
  await commit(book, set);
  expect(await trees()).toEqual([digestOf('a')]);
  await book.db.updateTable('job_state').set({ ended_ms: 1 }).execute();
  await using history = openHistory({ book, keepMs: 1_000 });
  expect(await history.pass()).toBe(1);
  expect(await trees()).toEqual([]);
});

test('it counts for the owner of the job', async () => {
  await placeAt('aachen');
  await report(1, 'aachen', 'running', live('four'));
  const { vo, owner } = book.get(JOB);
  const counter = openTreeCounter(book, () => memoryStore());
  expect((await counter.count({ vo, owner })).bytes).toBe(4);
  expect((await counter.count({ vo, owner: '/CN=Somebody' })).bytes).toBe(0);
});
