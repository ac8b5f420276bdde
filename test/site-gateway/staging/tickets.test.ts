import { expect, test } from 'vitest';
import type { StagingTicket } from '../../../proto/gen/grid/v1/common.ts';
import { systemClock } from '../../../service/clock.ts';
import { openTickets } from '../../../site-gateway/staging/tickets.ts';

const ticketOf = (userJwt: string, leftMs = 60_000): StagingTicket => ({
  vo: 'demo',
  userJwt,
  servers: [],
  expiresAtMs: Date.now() + leftMs,
});

test('a ticket that the store refused is given no more, and one that ends earlier takes its place', async () => {
  const stored = [ticketOf('of an older version')];
  const journal = {
    tickets: () => stored,
    keepTickets: async (fresh: readonly StagingTicket[]) => void stored.push(...fresh),
  };
  using tickets = openTickets(journal, systemClock, 10_000);
  expect(await tickets.get('demo')).toBe(stored[0]);
  const next = tickets.get('demo', 'of an older version');
  await tickets.add([ticketOf('new', 30_000)]);
  expect((await next).userJwt).toBe('new');
  expect((await tickets.get('demo', 'of an older version')).userJwt).toBe('new');
});

test('of tickets that come the one that ends last is given, as long as it holds, and is written down', async () => {
  const kept: string[] = [];
  const journal = {
    tickets: () => [],
    keepTickets: async (fresh: readonly StagingTicket[]) =>
      void kept.push(...fresh.map(({ userJwt }) => userJwt)),
  };
  let laterMs = 0;
  const clock = { ...systemClock, nowMs: () => systemClock.nowMs() + laterMs };
  using tickets = openTickets(journal, clock, 50);
  for (const ticket of [ticketOf('one'), ticketOf('last', 90_000), ticketOf('late', 30_000)])
    await tickets.add([ticket]);
  expect((await tickets.get('demo')).userJwt).toBe('last');
  expect(kept).toEqual(['one', 'last']);
  laterMs = 89_000;
  expect((await tickets.get('demo')).userJwt).toBe('last');
  laterMs = 91_000;
  await expect(tickets.get('demo')).rejects.toMatchObject({ code: 'STAGING_UNAVAILABLE' });
});
