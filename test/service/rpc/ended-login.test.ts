import { expect, test } from 'vitest';
import { BrokerService } from '../../../proto/gen/grid/v1/broker.ts';
import { openClient } from '../../../service/rpc/grpc-client.ts';

test('a login that has ended is told, not a broker that is away', async () => {
  // Nothing listens at port 1.
  const codeWith = async (expiresAtMs: number): Promise<unknown> => {
    const credentials = { caPem: '', expiresAtMs };
    using broker = openClient(BrokerService, 'broker', '127.0.0.1:1', credentials);
    return await broker.call.whoAmI({}).catch((error: unknown) => error);
  };
  expect(await codeWith(Date.UTC(2026, 0, 2))).toMatchObject({
    code: 'UNAUTHENTICATED',
    message: 'your login ended at 2026-01-02T00:00:00Z',
  });
  expect(await codeWith(Date.now() + 60_000)).toMatchObject({ code: 'UNAVAILABLE' });
});
