import { afterEach, beforeEach, expect, test } from 'vitest';
import { begin, commit } from '../../../broker/book.ts';
import { openBell } from '../../../broker/feed.ts';
import { place, release } from '../../../broker/jobs/moves.ts';
import type { Link, Session } from '../../../broker/sites/site-context.ts';
import { siteRecord } from '../../../broker/sites/site-registry.ts';
import { watchSite } from '../../../broker/sites/site-watch.ts';
import { siteId } from '../../../core/ids.ts';
import { State } from '../../../proto/gen/grid/v1/common.ts';
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
  };
  return used as Link;
}

/** A session that gives one update and stays. */
function sessionWith(update: AttemptUpdate, signal: AbortSignal): Session {
  const gateway: Partial<Session['gateway']> = {
    async *watch() {
      yield update;
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
  const watching = watchSite(link, sessionWith(done, ending.signal), 'journal');
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
  const watching = watchSite(link, sessionWith(done, ending.signal), 'journal');
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
  const watching = watchSite(link, sessionWith(done, ending.signal), 'journal');
  while (link.appliedSeq === 0) await new Promise(setImmediate);
  ending.abort();
  await watching;
  expect(admitted).toEqual(['demo 01']);
  expect(book.table.jobs.size).toBe(0);
});
