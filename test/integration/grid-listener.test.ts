import { once } from 'node:events';
import { connect as connectHttp2 } from 'node:http2';
import type { TcpNetConnectOpts } from 'node:net';
import { type ConnectionOptions, connect, type TLSSocket } from 'node:tls';
import * as grpc from '@grpc/grpc-js';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { BrokerService, type WhoAmIResponse } from '../../proto/gen/grid/v1/broker.ts';
import { extension } from '../../service/pki/certificate-writer.ts';
import { nullValue } from '../../service/pki/der.ts';
import { OID } from '../../service/pki/oids.ts';
import { openClient } from '../../service/rpc/grpc-client.ts';
import { type LiveGrid, openLiveGrid } from '../fakes/live-grid.ts';
import { type Entity, HOUR_MS, makeUser } from '../fakes/test-ca.ts';

let grid: LiveGrid;
beforeAll(async () => {
  grid = await openLiveGrid();
});
afterAll(() => grid[Symbol.asyncDispose]());

const whoAmI = async (...chain: readonly Entity[]): Promise<WhoAmIResponse> => {
  using broker = grid.connect(...chain);
  return await broker.call.whoAmI({});
};

/** What went wrong with a call. */
const refusalOf = (call: Promise<unknown>): Promise<unknown> =>
  call.then(
    () => 'answered',
    (error: unknown) => error,
  );

describe('the listener tells who calls', () => {
  test('an end entity, a proxy and a proxy of a proxy are the same person', async () => {
    const alice = grid.user('Alice');
    const proxy = grid.proxyOf(alice);
    const second = grid.proxyOf(proxy);
    const dn = '/DC=org/DC=test/CN=Alice';
    expect(await whoAmI(alice)).toMatchObject({ caller: { dn }, proxyDepth: 0 });
    expect(await whoAmI(proxy, alice)).toMatchObject({ caller: { dn }, proxyDepth: 1 });
    expect(await whoAmI(second, proxy, alice)).toMatchObject({ caller: { dn }, proxyDepth: 2 });
  });

  test('a chain that ends with the root is the same', async () => {
    const alice = grid.user('Alice');
    expect(await whoAmI(grid.proxyOf(alice), alice, grid.root)).toMatchObject({ proxyDepth: 1 });
  });

  test('a limited proxy is known as one', async () => {
    const alice = grid.user('Alice');
    const limited = grid.proxyOf(alice, { language: OID.limited });
    expect(await whoAmI(limited, alice)).toMatchObject({ rejectedAttributes: ['limited'] });
  });

  test('thirty callers at once are not mixed up', async () => {
    const names = Array.from({ length: 30 }, (_, at) => `Person ${at}`);
    const seen = await Promise.all(names.map((name) => whoAmI(grid.user(name))));
    expect(seen.map(({ caller }) => caller?.dn)).toEqual(
      names.map((name) => `/DC=org/DC=test/CN=${name}`),
    );
  });
});

test('a caller is not taken for another whose connection has the same address and port', async () => {
  // Reachable at several addresses, so that one of the caller's may have a connection to each.
  await using server = await grid.serve('0.0.0.0');
  const at = (host: string, localPort: number): TcpNetConnectOpts & ConnectionOptions => ({
    host,
    port: server.port,
    localAddress: '127.0.0.1',
    localPort,
    checkServerIdentity: () => undefined,
  });
  const stranger = await handshake(at('127.0.0.2', 0));
  const { localPort = 0 } = stranger;
  const session = connectHttp2('https://127.0.0.2', { createConnection: () => stranger });
  await once(session, 'remoteSettings');
  const alice = await handshake(at('127.0.0.1', localPort), grid.user('Alice'));
  await Promise.race([once(alice, 'data'), once(alice, 'close')]);
  const asked = session.request({
    ':method': 'POST',
    ':path': BrokerService.whoAmI.path,
    'content-type': 'application/grpc',
  });
  // An empty message.
  asked.end(Buffer.alloc(5));
  const [headers] = (await once(asked, 'response')) as [Record<string, string>];
  expect(headers).toMatchObject({ 'grpc-message': expect.stringContaining('NO_CERT') });
  session.destroy();
  alice.destroy();
});

describe('the listener refuses, saying why', () => {
  test.for<[string, () => readonly Entity[]]>([
    ['NO_CERT', () => []],
    [
      'EXPIRED',
      () => {
        const alice = grid.user('Alice');
        return [grid.proxyOf(alice, { notAfterMs: Date.now() - HOUR_MS / 2 }), alice];
      },
    ],
    ['PROXY_WITHOUT_EEC', () => [grid.proxyOf(grid.user('Alice'))]],
    [
      'PROXY_LEGACY',
      () => {
        const alice = grid.user('Alice');
        const draft = extension('1.3.6.1.4.1.3536.1.222', true, nullValue());
        return [grid.proxyOf(alice, { only: [draft] }), alice];
      },
    ],
    [
      'PROXY_LIMITED',
      () => {
        const alice = grid.user('Alice');
        const limited = grid.proxyOf(alice, { language: OID.limited });
        return [grid.proxyOf(limited), limited, alice];
      },
    ],
    [
      'PROXY_PATHLEN',
      () => {
        const alice = grid.user('Alice');
        const last = grid.proxyOf(alice, { pathLength: 0 });
        return [grid.proxyOf(last), last, alice];
      },
    ],
    [
      // TLS shows no issuer that is no authority.
      'UNTRUSTED_ISSUER',
      () => {
        const alice = grid.user('Alice');
        const dates = { notAfterMs: Date.now() + HOUR_MS };
        return [makeUser(alice, '/DC=org/DC=test/CN=Fake', dates), alice];
      },
    ],
  ])('%s', async ([code, chain]) => {
    expect(await refusalOf(whoAmI(...chain()))).toMatchObject({
      code: 'UNAUTHENTICATED',
      message: expect.stringMatching(`^${code}: `),
    });
  });

  test('a client of TLS 1.2, and one that speaks no HTTP/2', async () => {
    await expect(handshake({ maxVersion: 'TLSv1.2', ALPNProtocols: ['h2'] })).rejects.toThrow(
      'protocol version',
    );
    await expect(handshake({ ALPNProtocols: ['http/1.1'] })).rejects.toThrow(
      'no application protocol',
    );
  });
});

describe('live connections follow what is trusted', () => {
  test('revoking a certificate ends its connection and refuses the next', async () => {
    const [alice, eve] = [grid.user('Alice'), grid.user('Eve')];
    const hers = await settled(await handshake({}, grid.proxyOf(eve), eve));
    const other = await settled(await handshake({}, alice));
    await grid.publishCrl([eve]);
    await once(hers, 'close');
    expect(await refusalOf(whoAmI(grid.proxyOf(eve), eve))).toMatchObject({
      message: expect.stringMatching(/^REVOKED: .*CN=Eve/),
    });
    expect(other.closed).toBe(false);
    other.destroy();
    await grid.publishCrl([]);
  });

  test('a connection that an outdated revocation list refused is let in by a fresh one', async () => {
    const { crlPem: _, ...credentials } = grid.credentialsOf(grid.user('Alice'));
    await grid.publishCrl([], -HOUR_MS);
    using broker = openClient(
      BrokerService,
      'broker',
      `127.0.0.1:${grid.server.port}`,
      credentials,
    );
    expect(await refusalOf(broker.call.whoAmI({}))).toMatchObject({
      message: expect.stringMatching(/^CRL_EXPIRED: /),
    });
    await grid.publishCrl([]);
    expect(await broker.call.whoAmI({})).toMatchObject({ proxyDepth: 0 });
  });

  test('a connection ends when its proxy does', async () => {
    const alice = grid.user('Alice');
    // Clocks may differ by a minute, so this one has some seconds left.
    const proxy = grid.proxyOf(alice, { notAfterMs: Date.now() - 54_000 });
    const socket = await settled(await handshake({}, proxy, alice));
    expect(socket.closed).toBe(false);
    await once(socket, 'close', { signal: AbortSignal.timeout(30_000) });
    expect(await refusalOf(whoAmI(proxy, alice))).toMatchObject({
      message: expect.stringMatching(/^EXPIRED: /),
    });
  });

  test('no session is resumed, so every connection shows its chain', async () => {
    const alice = grid.user('Alice');
    const first = await settled(await handshake({}, grid.proxyOf(alice), alice));
    const session = first.getSession();
    first.destroy();
    expect(session).toBeDefined();
    const again = await handshake({ session }, grid.proxyOf(alice), alice);
    expect(again.isSessionReused()).toBe(false);
    again.destroy();
  });
});

describe('strangers do not keep out who is known', () => {
  test('a connection without a credential that passes ends by itself, and others stay', async () => {
    await using server = await grid.serve('127.0.0.1', { lastMs: 300, most: 10 });
    const { port } = server;
    const known = await settled(await handshake({ port }, grid.user('Alice')));
    const refused = grid.proxyOf(grid.user('Eve'));
    for (const chain of [[], [refused]]) {
      const stranger = dial({ port }, ...chain);
      stranger.on('error', () => undefined).resume();
      await expect.poll(() => stranger.closed, { timeout: 20_000 }).toBe(true);
    }
    expect(known.closed).toBe(false);
    known.destroy();
  });

  test('of many at a time the oldest ends, and others stay', async () => {
    await using server = await grid.serve('127.0.0.1', { lastMs: HOUR_MS, most: 2 });
    const { port } = server;
    const known = await settled(await handshake({ port }, grid.user('Alice')));
    const strangers: TLSSocket[] = [];
    for (let at = 0; at < 3; at += 1) strangers.push(await settled(await handshake({ port })));
    const [oldest, ...others] = strangers;
    await expect.poll(() => oldest?.closed, { timeout: 20_000 }).toBe(true);
    expect([known, ...others].map(({ closed }) => closed)).toEqual([false, false, false]);
    for (const socket of [known, ...others]) socket.destroy();
  });
});

describe('every server answers tools', () => {
  test('health says SERVING', async () => {
    const reply = await rawCall('/grpc.health.v1.Health/Check', new Uint8Array());
    // HealthCheckResponse { status: SERVING }
    expect([...reply]).toEqual([0x08, 0x01]);
  });

  test('reflection lists the services', async () => {
    // ServerReflectionRequest { list_services: "" }
    const path = '/grpc.reflection.v1.ServerReflection/ServerReflectionInfo';
    const reply = await rawCall(path, Uint8Array.from([0x3a, 0x00]));
    expect(Buffer.from(reply).toString('latin1')).toContain('grid.v1.Broker');
  });
});

/** A bare TLS connection; `chain` is shown, leaf first. */
async function handshake(
  options: ConnectionOptions,
  ...chain: readonly Entity[]
): Promise<TLSSocket> {
  const socket = dial(options, ...chain);
  await once(socket, 'secureConnect');
  return socket;
}

function dial(options: ConnectionOptions, ...chain: readonly Entity[]): TLSSocket {
  const { caPem, certPem, keyPem } = grid.credentialsOf(...chain);
  return connect({
    host: '127.0.0.1',
    port: grid.server.port,
    ca: caPem,
    ALPNProtocols: ['h2'],
    ...(certPem === undefined ? {} : { cert: certPem }),
    ...(keyPem === undefined ? {} : { key: keyPem }),
    ...options,
  });
}

/** Once the server has sent its HTTP/2 settings, it has judged the connection. */
async function settled(socket: TLSSocket): Promise<TLSSocket> {
  await once(socket, 'data');
  return socket;
}

/** The first message of the answer to one message, as bytes. */
async function rawCall(path: string, message: Uint8Array): Promise<Uint8Array> {
  const { caPem, certPem, keyPem } = grid.credentialsOf(grid.user('Tool'));
  const pems = [caPem, keyPem ?? '', certPem ?? ''].map((pem) => Buffer.from(pem));
  const client = new grpc.Client(
    `127.0.0.1:${grid.server.port}`,
    grpc.credentials.createSsl(pems[0], pems[1], pems[2]),
  );
  const call = client.makeBidiStreamRequest(
    path,
    (bytes: Uint8Array) => Buffer.from(bytes),
    (bytes: Buffer) => bytes,
  );
  call.end(message);
  try {
    for await (const reply of call as AsyncIterable<Buffer>) return reply;
  } finally {
    client.close();
  }
  throw new Error('no answer');
}
