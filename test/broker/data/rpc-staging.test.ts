import { expect, test } from 'vitest';
import { stagingHandlers } from '../../../broker/data/rpc-staging.ts';
import { systemClock } from '../../../service/clock.ts';
import { openLog } from '../../../service/log.ts';
import type { CallContext } from '../../../service/rpc/rpc.ts';
import { ALICE } from '../../fakes/callers.ts';

const NOW_MS = 1_795_000_000_000;
const { issueStagingTicket } = stagingHandlers({
  book: { clock: { ...systemClock, nowMs: () => NOW_MS } },
  access: { admins: [], vos: ['demo'] },
  accounts: undefined,
  sweeper: { hold: () => true },
  room: {} as never,
});
const ask = (expiresAtMs: number) => {
  const context: CallContext = {
    peer: { ...ALICE, expiresAtMs },
    signal: new AbortController().signal,
    log: openLog('test', 'silent'),
  };
  return issueStagingTicket({ vo: 'demo', nkey: 'U' }, context);
};

test('whose login has ended gets no ticket that has ended too, but hears it', async () => {
  await expect(ask(NOW_MS + 500)).rejects.toMatchObject({
    code: 'UNAUTHENTICATED',
    message: expect.stringMatching(/^EXPIRED: .*CN=Alice' at 2026-11-18T/),
  });
  await expect(ask(NOW_MS + 5_000)).rejects.toMatchObject({ code: 'STAGING_UNAVAILABLE' });
});
