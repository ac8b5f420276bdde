import { afterEach, beforeEach, expect, test } from 'vitest';
import { begin, commit } from '../../../broker/book.ts';
import { openBell } from '../../../broker/feed.ts';
import { place, release } from '../../../broker/jobs/moves.ts';
import type { Link, Session } from '../../../broker/sites/site-context.ts';
import { siteRecord } from '../../../broker/sites/site-registry.ts';
import { watchSite } from '../../../broker/sites/site-watch.ts';
import { GridError } from '../../../core/errors.ts';
import { jobId, siteId } from '../../../core/ids.ts';
import { State, type TreeRef } from '../../../proto/gen/grid/v1/common.ts';
import type { AttemptUpdate } from '../../../proto/gen/grid/v1/site.ts';
import { at, type OpenBook, openBook } from '../../fakes/open-book.ts';

const JOB = 'jabcd0123456';
let book: OpenBook;
beforeEach(async () => {
  book = await openBook(':memory:');
  await book.add({ [JOB]: {} });
  const set = begin(book);
  place(book.table, set, at('aachen', JOB));
  await commit(book, set);
});
afterEach(() => book.db.destroy());

const done: AttemptUpdate = {
  live: undefined,
  seq: 1,
  attemptId: `${JOB}.0.1`,
  atMs: 0,
  state: State.STATE_DONE,
  detail: '',
  outcome: {
    exitCode: 0,
    signal: 0,
    failure: 0,
    reason: '',
    detail: '',
    usage: undefined,
    outputs: { digest: Buffer.alloc(32, 1), totalBytes: 1, files: 1, manifest: Buffer.alloc(0) },
  },
};

/** A link to a site, as far as reading its updates needs one; `admit` looks at trees of results. */
function linkTo(site: string, admit: Link['admit']): Link {
  const row = { id: site, address: '', dn: '', wanted: 'up', enrolled_ms: 0, enrolled_by: '' };
  const used: Partial<Link> = {
    book,
    site: siteRecord({ ...row, wanted: 'up', conduct: null }),
    epoch: 1,
    log: book.log,
    bell: openBell(),
    appliedSeq: 0,
    admit,
    doubt: () => undefined,
    onChange: () => undefined,
    onSuperfluous: () => undefined,
    noteDeposed: () => false,
  };
  return used as Link;
}

type SendAgain = Session['gateway']['sendAgain'];
const NEVER: SendAgain = () => Promise.reject(new Error('nothing is to be sent again'));

/** A session that gives updates and stays. */
function sessionWith(
  updates: readonly AttemptUpdate[],
  signal: AbortSignal,
  sendAgain: SendAgain = NEVER,
): Session {
  const gateway: Partial<Session['gateway']> = {
    sendAgain,
    async *watch() {
      yield* updates;
      await new Promise((resolve) => signal.addEventListener('abort', resolve, { once: true }));
    },
  };
  const used: Partial<Session> = { gateway: gateway as Session['gateway'], signal };
  return used as Session;
}

test('what an ended session had not applied is left to the next one', async () => {
  const ending = new AbortController();
  const looked = Promise.withResolvers<void>();
  const looking = Promise.withResolvers<void>();
  const link = linkTo('aachen', () => {
    looking.resolve();
    return looked.promise;
  });
  const watching = watchSite(link, sessionWith([done], ending.signal), 'journal');
  await looking.promise;
  ending.abort();
  await watching;
  looked.resolve();
  await new Promise(setImmediate);
  await book.recorder.settled();
  expect(book.get(JOB).counts).toMatchObject({ matched: 1 });
  expect(await book.db.selectFrom('cursors').selectAll().execute()).toEqual([]);
});

test('trees in reports of what a site does not have are not looked at', async () => {
  const admitted: string[] = [];
  const ending = new AbortController();
  const link = linkTo('bremen', (_vo, { digest }) => {
    admitted.push(digest);
    return Promise.resolve();
  });
  const watching = watchSite(link, sessionWith([done], ending.signal), 'journal');
  while (link.appliedSeq === 0) await new Promise(setImmediate);
  ending.abort();
  await watching;
  expect(admitted).toEqual([]);
});

test('the tree of a late result is looked at like any other', async () => {
  const set = begin(book);
  const attempt = [...book.table.liveAt(siteId('aachen'))][0];
  if (attempt === undefined) throw new Error('it is not there');
  release(book.table, set, attempt, { reason: 'SITE_LOST', detail: 'gone' });
  await commit(book, set);
  const admitted: string[] = [];
  const ending = new AbortController();
  const link = linkTo('aachen', (vo, { digest }) => {
    admitted.push(`${vo} ${digest.slice(0, 2)}`);
    return Promise.resolve();
  });
  const watching = watchSite(link, sessionWith([done], ending.signal), 'journal');
  while (link.appliedSeq === 0) await new Promise(setImmediate);
  ending.abort();
  await watching;
  expect(admitted).toEqual(['demo 01']);
  expect(book.table.jobs.size).toBe(0);
});

test('outputs that are sent again hold up no report of another task', async () => {
  const OTHER = 'jabcd0123457';
  await book.add({ [OTHER]: {} });
  const set = begin(book);
  place(book.table, set, at('aachen', OTHER));
  await commit(book, set);
  const ending = new AbortController();
  const sent = Promise.withResolvers<{ outputs: TreeRef }>();
  const digestOf = (byte: number): string => Buffer.alloc(32, byte).toString('hex');
  const link = linkTo('aachen', async (_vo, { digest }) => {
    if (digest === digestOf(1)) throw new GridError('CHUNK_MISSING', 'swept');
  });
  const outputs = { digest: Buffer.alloc(32, 2), totalBytes: 1, files: 1 };
  const other = { ...done, seq: 2, attemptId: `${OTHER}.0.1`, outcome: undefined };
  const session = sessionWith([done, other], ending.signal, () => sent.promise);
  const watching = watchSite(link, session, 'journal');
  while (book.table.jobs.has(jobId(OTHER))) await new Promise(setImmediate);
  await book.recorder.settled();
  const cursor = async () => (await book.db.selectFrom('cursors').selectAll().execute())[0]?.seq;
  expect(book.table.jobs.has(jobId(JOB))).toBe(true);
  expect([link.appliedSeq, await cursor()]).toEqual([0, 0]);
  sent.resolve({ outputs: { ...outputs, manifest: Buffer.alloc(0) } });
  while (link.appliedSeq === 0) await new Promise(setImmediate);
  ending.abort();
  await watching;
  expect(book.table.jobs.has(jobId(JOB))).toBe(false);
  expect([link.appliedSeq, await cursor()]).toEqual([2, 2]);
  const ends = await book.db.selectFrom('attempts').select('outputs').orderBy('id').execute();
  expect(ends.map((row) => row.outputs)).toEqual([digestOf(2), '']);
});
