import { expect, test } from 'vitest';
import { begin, commit } from '../../../broker/book.ts';
import { openBell } from '../../../broker/feed.ts';
import { openJobStore } from '../../../broker/jobs/job-store.ts';
import { place } from '../../../broker/jobs/moves.ts';
import type { Link, Session } from '../../../broker/sites/site-context.ts';
import type { SiteRecord } from '../../../broker/sites/site-registry.ts';
import { runSender } from '../../../broker/sites/site-sender.ts';
import { GridError } from '../../../core/errors.ts';
import { siteId } from '../../../core/ids.ts';
import { at, type OpenBook, openBook } from '../../fakes/open-book.ts';

const JOB = 'jabcd0123456';

/** A link that is about to send one attempt. */
async function openLink(book: OpenBook) {
  await book.add({ [JOB]: {} });
  const set = begin(book);
  const attempt = place(book.table, set, at('aachen', JOB));
  await commit(book, set);
  const released = Promise.withResolvers<void>();
  const link: Partial<Link> = {
    book,
    store: openJobStore(book.db),
    site: { id: siteId('aachen') } as SiteRecord,
    bell: openBell(),
    unsent: new Set([attempt]),
    cancels: new Set(),
    appliedSeq: 0,
    onChange: released.resolve,
  };
  return { link: link as Link, attempt, released: released.promise };
}

test('what a draining site shall give back is not sent to it, though it was about to be', async () => {
  await using book = await openBook(':memory:');
  const { link, attempt, released } = await openLink(book);
  // The site is drained after the round and before its attempts were handed on.
  attempt.evicted = { reason: 'SITE_DRAINED', detail: 'aachen is being drained' };
  const ending = new AbortController();
  const sending = runSender(link, { signal: ending.signal } as Session);
  await Promise.race([sending, released]);
  ending.abort();
  await sending;
  expect(book.get(JOB).open.get(0)).toMatchObject({ state: 'queued', reason: 'SITE_DRAINED' });
});

test('what was never sent counts as unsent still when a ticket for it cannot be had', async () => {
  await using book = await openBook(':memory:');
  const { link, attempt } = await openLink(book);
  const tickets = { due: () => Promise.reject(new GridError('UNAVAILABLE', 'no staging')) };
  const { signal } = new AbortController();
  await expect(runSender(link, { signal, tickets } as unknown as Session)).rejects.toThrow(
    'no staging',
  );
  expect(link.unsent).toEqual(new Set([attempt]));
});
