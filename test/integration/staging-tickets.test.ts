import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { chmod, mkdtemp, readdir, readFile, rm, stat } from 'node:fs/promises';
import { type AddressInfo, connect, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { decode } from '@nats-io/jwt';
import { credsAuthenticator } from '@nats-io/transport-node';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { openStagingAccounts } from '../../broker/data/staging-accounts.ts';
import { CHUNK_BYTES } from '../../core/data/manifest.ts';
import { systemClock } from '../../service/clock.ts';
import { openLog } from '../../service/log.ts';
import { writeNatsServer } from '../../service/nats/nats-config.ts';
import { sha256 } from '../../service/staging/chunk-store.ts';
import { newNkey, openStaging } from '../../service/staging/connect-staging.ts';
import { connectNats } from '../../service/staging/nats-connect.ts';
import { natsServers, startTestNats, type TestNats, testNatsBinary } from '../fakes/nats.ts';
import { writeTlsIdentity } from '../fakes/tls-identity.ts';

const HOUR_MS = 3_600_000;
const TICKET = { vo: 'demo', lifetimeMs: 60_000, purpose: 'user' } as const;
const accountOf = (jwt: string): string => decode(jwt).iss;

let dir: string;
beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), 'hanse-tickets-'));
});
afterAll(() => rm(dir, { recursive: true, force: true }));

describe.for(await natsServers())('with $name', ({ path }) => {
  let nats: TestNats;
  beforeAll(async () => {
    nats = await startTestNats({ binary: path, vos: ['demo', 'other.vo'] });
  });
  afterAll(() => nats[Symbol.asyncDispose]());

  test('a ticket ends its connection when it ends', async () => {
    const member = await nats.member('demo', 6_000);
    await expect(member.closed()).resolves.toMatchObject({
      message: expect.stringMatching(/expired/i),
    });
  });

  test('a ticket that does not let chunks be stored is replaced, and a second one is believed', async () => {
    const nkey = newNkey();
    const issue = (vo: string) =>
      nats.accounts.issueTicket({ ...TICKET, vo, nkey: nkey.publicKey });
    const first = await issue('other.vo');
    const refusals: (string | undefined)[] = [];
    const storeWith = (next: () => ReturnType<typeof issue>) =>
      openStaging({
        nkey,
        ticket: (refused) => {
          refusals.push(refused);
          return refused === undefined ? Promise.resolve(first) : next();
        },
        caPem: nats.caPem,
        vo: 'demo',
      });
    await using store = storeWith(() => issue('demo'));
    const some = Array.from({ length: 20 }, () => randomBytes(1_000));
    const sent = await Promise.all(some.map((bytes) => store.put(sha256(bytes), bytes)));
    expect(sent).toEqual(some.map((bytes) => bytes.byteLength));
    expect(refusals).toEqual([undefined, first.userJwt]);
    await using denied = storeWith(() => issue('other.vo'));
    const again = randomBytes(100);
    await expect(denied.put(sha256(again), again)).rejects.toMatchObject({
      code: 'PERMISSION_DENIED',
    });
    expect(refusals).toHaveLength(4);
  });

  test('a ticket is renewed before it ends', async () => {
    const nkey = newNkey();
    let tickets = 0;
    let aheadMs = 0;
    await using store = openStaging({
      nkey,
      ticket: () => {
        tickets += 1;
        return nats.accounts.issueTicket({ ...TICKET, nkey: nkey.publicKey, lifetimeMs: HOUR_MS });
      },
      caPem: nats.caPem,
      vo: 'demo',
      clock: { ...systemClock, nowMs: () => systemClock.nowMs() + aheadMs },
    });
    const content = randomBytes(1_000);
    await store.put(sha256(content), content);
    const ticketsAfter = async (part: number): Promise<number> => {
      aheadMs = part * HOUR_MS;
      await store.get(sha256(content));
      return tickets;
    };
    expect(await ticketsAfter(0.65)).toBe(1);
    expect(await ticketsAfter(0.76)).toBe(2);
    expect(await ticketsAfter(0.77)).toBe(2);
  });

  test('a ticket that has ended opens nothing, and the store says so in time', async () => {
    const nkey = newNkey();
    const old = await nats.accounts.issueTicket({
      ...TICKET,
      nkey: nkey.publicKey,
      lifetimeMs: -5_000,
    });
    await using store = openStaging({
      nkey,
      ticket: () => Promise.resolve(old),
      caPem: nats.caPem,
      vo: 'demo',
      patienceMs: 300,
    });
    await expect(store.get('0'.repeat(64))).rejects.toMatchObject({ code: 'STAGING_UNAVAILABLE' });
  });

  test('a ticket is of no use without the seed of its NKEY', async () => {
    const nkey = newNkey();
    const ticket = await nats.accounts.issueTicket({ ...TICKET, nkey: nkey.publicKey });
    await using thief = openStaging({
      nkey: { publicKey: nkey.publicKey, seed: newNkey().seed },
      ticket: () => Promise.resolve(ticket),
      caPem: nats.caPem,
      vo: 'demo',
      patienceMs: 300,
    });
    await expect(thief.get('0'.repeat(64))).rejects.toMatchObject({ code: 'STAGING_UNAVAILABLE' });
  });

  test('no ticket is issued for an unknown VO or a key that is none', async () => {
    const { publicKey } = newNkey();
    await expect(
      nats.accounts.issueTicket({ ...TICKET, vo: 'nobody', nkey: publicKey }),
    ).rejects.toMatchObject({ code: 'VO_NOT_FOUND' });
    const account = accountOf(
      (await nats.accounts.issueTicket({ ...TICKET, nkey: publicKey })).userJwt,
    );
    for (const nkey of ['', 'x', `${publicKey}>`, account, newNkey().seed.toString()]) {
      await expect(nats.accounts.issueTicket({ ...TICKET, nkey })).rejects.toMatchObject({
        code: 'REQUEST_INVALID',
      });
    }
  });

  test('a server that nobody certified is refused at once', async () => {
    const nkey = newNkey();
    const stranger = await writeTlsIdentity(dir);
    await using store = openStaging({
      nkey,
      ticket: () => nats.accounts.issueTicket({ ...TICKET, nkey: nkey.publicKey }),
      caPem: stranger.caPem,
      vo: 'demo',
    });
    await expect(store.get('0'.repeat(64))).rejects.toMatchObject({ code: 'STAGING_UNAVAILABLE' });
  }, 30_000);

  test('a server whose certificate is for another address is refused at once', async () => {
    const proxy = createServer((client) => {
      const server = connect(nats.files.port, '127.0.0.1');
      for (const socket of [client, server]) socket.on('error', () => undefined);
      client.pipe(server).pipe(client);
    }).listen(0, '127.0.0.2');
    await once(proxy, 'listening');
    const { port } = proxy.address() as AddressInfo;
    const nkey = newNkey();
    await using store = openStaging({
      nkey,
      ticket: async () => ({
        ...(await nats.accounts.issueTicket({ ...TICKET, nkey: nkey.publicKey })),
        servers: [`tls://127.0.0.2:${port}`],
      }),
      caPem: nats.caPem,
      vo: 'demo',
    });
    await expect(store.get('0'.repeat(64))).rejects.toMatchObject({
      code: 'STAGING_UNAVAILABLE',
      message: expect.stringContaining('its certificate is not for 127.0.0.2'),
    });
    proxy.close();
  }, 30_000);

  test('accounts and streams are made anew on a server that has lost everything', async () => {
    await nats.crash();
    await rm(join(nats.dir, 'nats/jetstream'), { recursive: true });
    const accounts = join(nats.dir, 'nats/accounts');
    for (const file of await readdir(accounts)) await rm(join(accounts, file));
    await writeNatsServer(nats.settings);
    await nats.start();
    await using store = nats.open('demo');
    const content = randomBytes(100);
    expect(await store.put(sha256(content), content)).toBe(content.byteLength);
  });
});

test('a VO that is full is STORE_QUOTA', async () => {
  const bytesPerVo = 8 * 2 ** 20;
  await using nats = await startTestNats({
    binary: await testNatsBinary(),
    vos: ['demo'],
    bytesPerVo,
  });
  await using store = nats.open('demo');
  const chunks = Array.from({ length: 12 }, () => randomBytes(CHUNK_BYTES));
  const puts = Promise.all(chunks.map((bytes) => store.put(sha256(bytes), bytes)));
  await expect(puts).rejects.toMatchObject({
    code: 'STORE_QUOTA',
    message: expect.stringContaining('staging.quota'),
  });
});

test('what the broker holds of the system account adds accounts, and does nothing else', async () => {
  await using nats = await startTestNats({ binary: await testNatsBinary(), vos: ['demo'] });
  const system = await connectNats({
    servers: [nats.files.url],
    authenticator: credsAuthenticator(await readFile(join(nats.dir, 'nats/broker/system.creds'))),
    inboxPrefix: '_INBOX',
    caPem: nats.caPem,
  });
  const ask = (subject: string) => system.request(subject, '', { timeout: 20_000 });
  await ask('$SYS.REQ.SERVER.PING');
  for (const what of ['CLAIMS.DELETE', 'CLAIMS.LIST', 'SERVER.PING.CONNZ', 'SERVER.PING.JSZ'])
    await expect(ask(`$SYS.REQ.${what}`)).rejects.toThrow(/permissions violation/i);
  await system.close();
});

test('a key that others may read keeps the broker from its accounts, and says so', async () => {
  await using nats = await startTestNats({ binary: await testNatsBinary(), vos: ['demo'] });
  await chmod(join(nats.files.brokerDir, 'operator.seed'), 0o644);
  await using accounts = await openStagingAccounts({
    servers: [nats.files.url],
    operatorDir: nats.files.brokerDir,
    stateDir: join(nats.dir, 'broker'),
    caPem: nats.caPem,
    vos: ['demo'],
    clock: systemClock,
    log: openLog('test', 'silent'),
  });
  await expect(accounts.settled()).rejects.toMatchObject({
    code: 'CONFIG_INVALID',
    message: expect.stringContaining('operator.seed'),
  });
});

test('keys are readable by their owner alone, and survive the next start', async () => {
  await using nats = await startTestNats({ binary: await testNatsBinary(), vos: ['demo'] });
  const secrets = [
    'nats/operator.seed',
    'nats/system.seed',
    'nats/broker/operator.seed',
    'nats/broker/system.creds',
    'broker/demo.seed',
    'broker/members/demo.seed',
  ];
  const read = () =>
    Promise.all(secrets.slice(0, 3).map((file) => readFile(join(nats.dir, file), 'utf8')));
  const modes = await Promise.all(
    secrets.map(async (file) => (await stat(join(nats.dir, file))).mode & 0o777),
  );
  expect(modes).toEqual(secrets.map(() => 0o600));
  const before = await read();
  await writeNatsServer(nats.settings);
  expect(await read()).toEqual(before);
});
