import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fromSeed } from '@nats-io/nkeys';
import { credsAuthenticator } from '@nats-io/transport-node';
import { expect, test } from 'vitest';
import { keepVoKeys, membersToken } from '../../broker/data/account-tokens.ts';
import { sha256 } from '../../service/staging/chunk-store.ts';
import { connectNats } from '../../service/staging/nats-connect.ts';
import { natsServers, startTestNats, type TestNats } from '../fakes/nats.ts';

test.for(await natsServers())(
  'with $name a VO that has as many chunks as it may takes no more, however small they are',
  async ({ path }) => {
    await using nats = await startTestNats({ binary: path, vos: ['demo'], chunksPerVo: 3 });
    await using store = nats.open('demo');
    const chunks = Array.from({ length: 4 }, (_, at) => Buffer.from([at]));
    const digests = chunks.map(sha256);
    for (const at of [0, 1, 2]) await store.put(digests[at] ?? '', chunks[at] ?? Buffer.alloc(0));
    await expect(store.put(digests[3] ?? '', Buffer.from([3]))).rejects.toMatchObject({
      code: 'STORE_QUOTA',
      message: expect.stringContaining('staging.chunk-quota'),
    });
    expect(await store.put(digests[0] ?? '', Buffer.from([0]))).toBe(0);
    expect(await store.missing(digests)).toEqual(new Set(digests.slice(3)));
  },
);

test.for(await natsServers())(
  'with $name a VO that has more chunks than a new limit allows keeps them',
  async ({ path }) => {
    await using nats = await startTestNats({ binary: path, vos: ['demo'] });
    await using store = nats.open('demo');
    const chunks = Array.from({ length: 7 }, (_, at) => Buffer.from([at]));
    const digests = chunks.map(sha256);
    const put = (at: number) => store.put(digests[at] ?? '', Buffer.from([at]));
    for (const at of [0, 1, 2, 3, 4]) await put(at);
    await using _again = await nats.reopen({ chunksPerVo: 2 });
    expect(await store.missing(digests)).toEqual(new Set(digests.slice(5)));
    await put(5);
    await expect(put(6)).rejects.toMatchObject({ code: 'STORE_QUOTA' });
  },
);

test.for(await natsServers())(
  'with $name a VO that has as many connections as it may keeps nobody of another out',
  async ({ path }) => {
    await using nats = await startTestNats({ binary: path, vos: ['demo', 'other'] });
    await limit(nats, 'demo', 2);
    const [first, second] = [await nats.member('demo'), await nats.member('demo')];
    await expect(nats.member('demo')).rejects.toThrow(
      'lets nobody else in now (maximum account active connections exceeded)',
    );
    const other = await nats.member('other');
    await first.close();
    await expect.poll(() => nats.member('demo').then((again) => again.close())).toBe(undefined);
    await Promise.all([second.close(), other.close()]);
  },
);

/** Sends the account of the members of a VO anew, with room for so many connections. */
async function limit({ dir, files, caPem }: TestNats, vo: string, most: number): Promise<void> {
  const operator = fromSeed(await readFile(join(files.brokerDir, 'operator.seed')));
  const keys = await keepVoKeys(join(dir, 'broker'), vo);
  const system = await connectNats({
    servers: [files.url],
    authenticator: credsAuthenticator(await readFile(join(files.brokerDir, 'system.creds'))),
    inboxPrefix: '_INBOX',
    caPem,
  });
  const token = await membersToken(vo, keys, operator, most);
  const answer = await system.request('$SYS.REQ.CLAIMS.UPDATE', token, { timeout: 20_000 });
  expect(answer.json()).toMatchObject({ data: { code: 200 } });
  await system.close();
}
