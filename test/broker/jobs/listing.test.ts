import type { KyselyPlugin } from 'kysely';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { begin, commit } from '../../../broker/book.ts';
import { listFlows } from '../../../broker/flows/flows.ts';
import { type ListWish, listJobs, readJob, readTasks } from '../../../broker/jobs/listing.ts';
import { cancelJob } from '../../../broker/jobs/moves.ts';
import { dn, jobId, voName } from '../../../core/ids.ts';
import { askFor } from '../../fakes/offers.ts';
import { type OpenBook, openBook } from '../../fakes/open-book.ts';

const JOBS = 9_000;
const nameOf = (n: number): string => `j${String(n).padStart(5, '0')}`;
/** Newest first. */
const names = Array.from({ length: JOBS }, (_, n) => nameOf(n)).toReversed();
const { owner, vo } = askFor();
const BOTH = { owner, vos: [vo] };
const ALL: ListWish = { of: BOTH, states: [], name: '', limit: 100, before: '' };

let book: OpenBook;
beforeAll(async () => {
  book = await openBook(':memory:');
  await book.add(Object.fromEntries(names.toReversed().map((name) => [name, {}])));
  const set = begin(book);
  for (const n of [10, 4_000, 4_001])
    cancelJob(book.table, set, book.get(nameOf(n)), { reason: 'CANCELLED', detail: 'enough' });
  await commit(book, set);
});
afterAll(() => book.db.destroy());

const idsOf = async (wish: Partial<ListWish>): Promise<readonly string[]> =>
  (await listJobs(book, { ...ALL, ...wish })).jobs.map(({ id }) => id);

test.each<[string, ListWish['of']]>([
  ['the same owner and VO', BOTH],
  ['another owner, and the VO', { owner: dn('/CN=Nobody'), vos: [vo] }],
  ['the owner, and another VO', { owner, vos: [voName('other')] }],
  ['everybody', undefined],
])('pages of %s have each job once, newest first', async (_whose, of) => {
  const seen: string[] = [];
  let before = '';
  do {
    const { jobs, next } = await listJobs(book, { ...ALL, of, limit: 3_000, before });
    seen.push(...jobs.map(({ id }) => id));
    before = next;
  } while (before !== '');
  expect(seen).toEqual(names);
});

test('what is rare is found among what is not', async () => {
  expect(await idsOf({ states: ['cancelled'] })).toEqual([4_001, 4_000, 10].map(nameOf));
  expect(await idsOf({ states: ['cancelled'], limit: 2 })).toEqual([4_001, 4_000].map(nameOf));
  expect(await idsOf({ states: ['cancelled'], before: nameOf(4_000) })).toEqual([nameOf(10)]);
  expect(await idsOf({ name: nameOf(5) })).toEqual([nameOf(5)]);
  expect(await idsOf({ of: { owner: dn('/CN=Nobody'), vos: [] } })).toEqual([]);
});

test('while a long list is searched others have their turn, and nobody waits for one who has gone', async () => {
  let turns = 0;
  const timer = setInterval(() => {
    turns += 1;
  }, 0);
  await idsOf({ name: 'there is none' });
  clearInterval(timer);
  expect(turns).toBeGreaterThan(1);
  const gone = AbortSignal.abort();
  expect((await listJobs(book, ALL, gone)).jobs).toEqual([]);
});

test('a flow whose jobs were just removed for their age is not listed', async () => {
  const row = { id: 'fabcd0123456', seq: 1, owner, vo, name: 'old', submitted_ms: 1 };
  await book.recorder.record({ flows: [row] });
  expect(await listFlows(book, ALL)).toEqual({ flows: [], next: '' });
});

test('a page of flows behind one that is not there is refused, not empty', async () => {
  await expect(listFlows(book, { ...ALL, before: 'fgone0123456' })).rejects.toThrow(
    "page token 'fgone0123456' is no flow id",
  );
});

test('a job with its tasks is read in few questions', async () => {
  const asked: string[] = [];
  const count: KyselyPlugin = {
    transformQuery: ({ node }) => {
      asked.push(node.kind);
      return node;
    },
    transformResult: ({ result }) => Promise.resolve(result),
  };
  const counted = { ...book, db: book.db.withPlugin(count) };
  const id = jobId(nameOf(4_000));
  const job = await readJob(counted, id);
  const tasks = await readTasks(counted, { id, spec: job.spec }, { first: 0, limit: 10 });
  expect(job.summary).toMatchObject({ id, reason: 'CANCELLED', detail: 'enough' });
  expect(job.spec).toMatchObject({ vo });
  expect(tasks).toHaveLength(0);
  expect(asked).toHaveLength(2);
});

test('where a page begins tells nobody of jobs and flows of others', async () => {
  const flow = 'fabcd0123457';
  const row = { id: flow, seq: 2, owner, vo, name: 'theirs', submitted_ms: 1 };
  await book.recorder.record({ flows: [row] });
  const of = { owner: dn('/CN=Eve'), vos: [voName('other')] };
  for (const before of [nameOf(10), 'jnone'])
    await expect(listJobs(book, { ...ALL, of, before })).rejects.toThrow(
      `'${before}' is no job id`,
    );
  for (const before of [flow, 'fnone'])
    await expect(listFlows(book, { ...ALL, of, before })).rejects.toThrow(
      `'${before}' is no flow id`,
    );
});
