import { expect, test } from 'vitest';
import { stagingHandlers } from '../../../broker/data/rpc-staging.ts';
import type { StagingAccounts } from '../../../broker/data/staging-accounts.ts';
import { systemClock } from '../../../service/clock.ts';
import { openLog } from '../../../service/log.ts';
import type { CallContext } from '../../../service/rpc/rpc.ts';
import { ALICE } from '../../fakes/callers.ts';

const NOW_MS = 1_795_000_000_000;
const HOUR_MS = 3_600_000;

function handlers(accounts?: Pick<StagingAccounts, 'issueTicket'>) {
  const held: string[] = [];
  const { issueStagingTicket, holdTree, askRoom } = stagingHandlers({
    book: { clock: { ...systemClock, nowMs: () => NOW_MS } },
    access: { admins: [], vos: ['demo', 'other'] },
    accounts: accounts as StagingAccounts | undefined,
    sweeper: {
      hold: (vo) => {
        held.push(vo);
        return true;
      },
    },
    room: {} as never,
    datasets: { ownerOf: () => ALICE.dn },
  });
  const contextOf = (expiresAtMs: number): CallContext => ({
    peer: { ...ALICE, expiresAtMs },
    signal: new AbortController().signal,
    log: openLog('test', 'silent'),
  });
  const context = contextOf(NOW_MS + HOUR_MS);
  return {
    held,
    ask: (expiresAtMs: number) =>
      issueStagingTicket({ vo: 'demo', nkey: 'U' }, contextOf(expiresAtMs)),
    ticketOf: (vo: string) => issueStagingTicket({ vo, nkey: 'U' }, context),
    // It may throw before it has given a promise.
    hold: async (vo: string) => (await holdTree({ vo, tree: undefined }, context)).held,
    room: (vo: string) => askRoom({ vo, bytes: 0, chunks: [], dataset: '' }, context),
  };
}

test('whose login has ended gets no ticket that has ended too, but hears it', async () => {
  const { ask } = handlers();
  await expect(ask(NOW_MS + 500)).rejects.toMatchObject({
    code: 'UNAUTHENTICATED',
    message: expect.stringMatching(/^EXPIRED: .*CN=Alice' at 2026-11-18T/),
  });
  await expect(ask(NOW_MS + 5_000)).rejects.toMatchObject({ code: 'STAGING_UNAVAILABLE' });
});

test('the store of a VO is for its members: no ticket, no held tree and no room for others', async () => {
  const issued: string[] = [];
  const { ticketOf, hold, room, held } = handlers({
    issueTicket: ({ vo }) => {
      issued.push(vo);
      return Promise.resolve({ vo, userJwt: '', servers: [], expiresAtMs: NOW_MS });
    },
  });
  for (const ask of [ticketOf, hold, room])
    await expect(ask('other')).rejects.toMatchObject({ code: 'VO_DENIED' });
  expect([issued, held]).toEqual([[], []]);
  await ticketOf('demo');
  await hold('demo');
  expect([issued, held]).toEqual([['demo'], ['demo']]);
});

test.for([
  ['as long as the login', HOUR_MS, HOUR_MS],
  ['half a day at most', 90 * 24 * HOUR_MS, 12 * HOUR_MS],
] as const)('a ticket holds %s', async ([, loginMs, ticketMs]) => {
  const lifetimes: number[] = [];
  const { ask } = handlers({
    issueTicket: ({ vo, lifetimeMs, purpose }) => {
      expect(purpose).toBe('user');
      lifetimes.push(lifetimeMs);
      return Promise.resolve({ vo, userJwt: '', servers: [], expiresAtMs: NOW_MS });
    },
  });
  await ask(NOW_MS + loginMs);
  expect(lifetimes).toEqual([ticketMs]);
});
