import { expect, test } from 'vitest';
import type { StagingAccounts } from '../../../broker/data/staging-accounts.ts';
import { openSiteTickets } from '../../../broker/sites/site-tickets.ts';
import { GridError } from '../../../core/errors.ts';
import { systemClock } from '../../../service/clock.ts';

const accounts: Pick<StagingAccounts, 'issueTicket'> = {
  issueTicket: ({ vo, lifetimeMs }) => {
    if (vo === 'demo')
      return Promise.resolve({
        vo,
        userJwt: '',
        servers: [],
        expiresAtMs: Date.now() + lifetimeMs,
      });
    return Promise.reject(
      vo === 'gone'
        ? new GridError('VO_NOT_FOUND', `this broker does not serve the VO '${vo}'`)
        : new Error('no entropy'),
    );
  },
};

test('tasks of a VO that is served no more get no ticket, and keep none from the others', async () => {
  const tickets = openSiteTickets(accounts as StagingAccounts, systemClock);
  expect(await tickets.due(['gone', 'demo'], 'U')).toMatchObject([{ vo: 'demo' }]);
  expect(await tickets.due(['gone', 'demo'], 'U')).toEqual([]);
  await expect(tickets.due(['other'], 'U')).rejects.toThrow('no entropy');
});

test('a gateway gets a ticket once, and a new one before that ends', async () => {
  let laterMs = 0;
  const clock = { ...systemClock, nowMs: () => systemClock.nowMs() + laterMs };
  const tickets = openSiteTickets(accounts as StagingAccounts, clock);
  const due = async () => (await tickets.due(['demo'], 'U')).length;
  expect([await due(), await due()]).toEqual([1, 0]);
  laterMs = 7 * 3_600_000;
  expect(await due()).toBe(0);
  laterMs = 9 * 3_600_000;
  expect(await due()).toBe(1);
});
