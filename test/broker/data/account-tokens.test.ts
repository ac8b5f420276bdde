import { type Account, type ClaimsData, decode } from '@nats-io/jwt';
import { createAccount, createOperator } from '@nats-io/nkeys';
import { expect, test } from 'vitest';
import { membersToken, storeToken } from '../../../broker/data/account-tokens.ts';
import { MAX_CONNECTIONS } from '../../../service/nats/nats-config.ts';

test('a VO leaves room for the connections of others', async () => {
  const keys = { store: createAccount(), members: createAccount() };
  for (const [make, most] of [
    [membersToken, MAX_CONNECTIONS / 2],
    [storeToken, MAX_CONNECTIONS / 20],
  ] as const) {
    const claims: ClaimsData<Account> = decode(await make('demo', keys, createOperator()));
    const { conn = -1, leaf = -1 } = claims.nats.limits ?? {};
    expect(conn).toBeGreaterThan(10);
    expect(conn).toBeLessThan(most);
    expect(leaf).toBeGreaterThanOrEqual(0);
    expect(leaf).toBeLessThan(MAX_CONNECTIONS / 20);
  }
});
