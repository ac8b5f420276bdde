import { expect, test } from 'vitest';
import { begin, commit } from '../../../broker/book.ts';
import { openBell } from '../../../broker/feed.ts';
import { place } from '../../../broker/jobs/moves.ts';
import type { Link, Session } from '../../../broker/sites/site-context.ts';
import { runSender } from '../../../broker/sites/site-sender.ts';
import { at, openBook } from '../../fakes/open-book.ts';

const JOB = 'jabcd0123456';

test('what a draining site shall give back is not sent to it, though it was about to be', async () => {
  await using book = await openBook(':memory:');
  await book.add({ [JOB]: {} });
  const set = begin(book);
  const attempt = place(book.table, set, at('aachen', JOB));
  await commit(book, set);
  // The site is drained after the round and before its attempts were handed on.
  attempt.evicted = { reason: 'SITE_DRAINED', detail: 'aachen is being drained' };
  const ending = new AbortController();
  const released = Promise.withResolvers<void>();
  const link: Partial<Link> = {
    book,
    bell: openBell(),
    unsent: new Set([attempt]),
    cancels: new Set(),
    appliedSeq: 0,
    onChange: released.resolve,
  };
  const sending = runSender(link as Link, { signal: ending.signal } as Session);
  await Promise.race([sending, released.promise]);
  ending.abort();
  await sending;
  expect(book.get(JOB).open.get(0)).toMatchObject({ state: 'queued', reason: 'SITE_DRAINED' });
});
