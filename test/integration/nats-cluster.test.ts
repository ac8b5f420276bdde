import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connect as connectTls } from 'node:tls';
import { encodeUser } from '@nats-io/jwt';
import { createUser, fromSeed } from '@nats-io/nkeys';
import { jwtAuthenticator } from '@nats-io/transport-node';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { clusterWarning } from '../../service/nats/nats-server.ts';
import { chunkName } from '../../service/staging/chunk-cipher.ts';
import { sha256 } from '../../service/staging/chunk-store.ts';
import { fetchTree } from '../../service/staging/fetch-tree.ts';
import { STREAM } from '../../service/staging/names.ts';
import { connectNats } from '../../service/staging/nats-connect.ts';
import { sendTree } from '../../service/staging/send-tree.ts';
import { chunkStoreContract } from '../contract/chunk-store.contract.ts';
import { openCorruptible } from '../fakes/corruptible-chunks.ts';
import { findCurrent, natsServers, testNatsBinary } from '../fakes/nats.ts';
import { startNatsCluster, type TestCluster } from '../fakes/nats-cluster.ts';

describe.for(await natsServers())('three of $name', ({ name, path, version }) => {
  let nats: TestCluster;
  let dir: string;
  beforeAll(async () => {
    dir = await mkdtemp(join(tmpdir(), 'hanse-nats-cluster-'));
    nats = await startNatsCluster(path);
  });
  afterAll(async () => {
    await nats[Symbol.asyncDispose]();
    await rm(dir, { recursive: true, force: true });
  });

  chunkStoreContract(`a cluster of ${name}`, () => openCorruptible(nats, 'demo'));

  // Of older ones a server that was away may never catch up, as the broker says.
  test.for(clusterWarning(version) === '' ? [0, 1, 2] : [])(
    'server %i may crash in the middle, and nothing is lost',
    { timeout: 400_000 },
    async (at) => {
      const root = join(dir, `root${at}`);
      await mkdir(root);
      await writeFile(join(root, 'large.bin'), randomBytes(60 * 2 ** 20));
      for (let n = 0; n < 500; n += 1) await writeFile(join(root, `${n}`), randomBytes(900));
      await using sender = nats.open('demo');
      const crashing = doOnce(() => nats.crash(at));
      const sent = await sendTree(sender, { root, paths: ['.'] }, { onProgress: crashing.start });
      await crashing.done();
      await using reader = nats.open('demo');
      const whileGone = join(dir, `gone${at}`);
      await fetchTree(reader, sent.tree, whileGone);
      await nats.start(at);
      const other = (at + 1) % 3;
      // What the one that is back has not caught up with comes from the third.
      const crashingOther = doOnce(() => nats.crash(other));
      const target = join(dir, `target${at}`);
      await fetchTree(reader, sent.tree, target, { onProgress: crashingOther.start });
      await crashingOther.done();
      await nats.start(other);
      // Three copies outlive one server: the next may go when those that came back have caught up.
      await untilHealthy(nats);
      await untilEven(nats);
      for (const got of [whileGone, target])
        expect(execFileSync('diff', ['-r', got, root], { encoding: 'utf8' })).toBe('');
    },
  );
});

test('one copy becomes three, and then any server may go', async () => {
  const { path, version } = await findCurrent();
  await using nats = await startNatsCluster(path, 1);
  await using store = nats.open('demo');
  await using keeper = nats.keeper('demo');
  const chunks = Array.from({ length: 40 }, () => randomBytes(100_000));
  for (const bytes of chunks) await store.put(sha256(bytes), bytes);
  await untilHealthy(nats);
  await using updates = await updatesOfStream(nats);
  await nats.accounts(3);
  await untilCopied(nats, chunks.length);
  // Once, or again where the servers were choosing who leads them.
  await expect.poll(updates.count).toBeGreaterThan(0);
  const before = await updates.count();
  // A broker looks at its stream after each loss of a server, and leaves one alone that is as it should be.
  await nats.accounts(3);
  expect(await updates.count()).toBe(before);
  for (const at of [0, 1, 2]) {
    await nats.crash(at);
    for (const bytes of chunks)
      expect(Buffer.compare(await store.get(sha256(bytes)), bytes)).toBe(0);
    // What is swept and sent anew while a server is away has one name and two places in the stream: too much for an old one.
    const swept = clusterWarning(version) === '' ? chunks.slice(0, 5) : [];
    const names = swept.map((bytes) => chunkName(sha256(bytes)));
    // A sweeper comes again where the servers took longer to choose a leader than its link has patience for.
    await vi.waitFor(() => keeper.remove(names), CAUGHT_UP);
    for (const bytes of swept) await store.put(sha256(bytes), bytes);
    await nats.start(at);
    await untilCopied(nats, chunks.length);
  }
}, 400_000);

/** What nats-server tells of each question to JetStream. */
interface ApiAdvisory {
  readonly subject: string;
  readonly client: { readonly user: string };
}

/** Counts how often nats-server has been told to change the stream of the VO. */
async function updatesOfStream(nats: TestCluster) {
  const account = fromSeed(await readFile(join(nats.dir, 'broker', 'demo.seed')));
  const user = createUser();
  const inbox = '_INBOX.updates';
  const jwt = await encodeUser('listener', user, account, {
    pub: { allow: [`${inbox}.>`] },
    sub: { allow: [`${inbox}.>`, '$JS.EVENT.ADVISORY.>'] },
  });
  const servers = nats.files.map(({ url }) => url);
  const authenticator = jwtAuthenticator(jwt, user.getSeed());
  const { caPem } = nats;
  const listener = await connectNats({ servers, authenticator, inboxPrefix: inbox, caPem });
  // Each server may tell of one update; a broker asks as somebody new each time, also where it got no answer.
  const askers = new Set<string>();
  listener.subscribe('$JS.EVENT.ADVISORY.API', {
    callback: (_, message) => {
      const { subject, client } = message.json<ApiAdvisory>();
      if (subject === `$JS.API.STREAM.UPDATE.${STREAM}`) askers.add(client.user);
    },
  });
  return {
    count: async () => {
      await listener.flush();
      return askers.size;
    },
    [Symbol.asyncDispose]: () => listener.close(),
  };
}

test('nobody joins the cluster with a certificate of the grid alone', async () => {
  await using nats = await startNatsCluster(await testNatsBinary());
  const answer = await joinAsServer(nats);
  expect(answer).toContain('Authorization Violation');
});

/** Says what a server says first, over TLS with a host certificate, but without the secret. */
async function joinAsServer(nats: TestCluster): Promise<string> {
  const [host = '', port = ''] = (nats.routes[0] ?? '').split(':');
  const socket = connectTls({
    host,
    port: Number(port),
    ca: nats.caPem,
    cert: readFileSync(nats.certFile),
    key: readFileSync(nats.keyFile),
    checkServerIdentity: () => undefined,
  });
  const said: Buffer[] = [];
  socket.on('data', (bytes: Buffer) => said.push(bytes));
  await once(socket, 'secureConnect');
  // A server that has said its word may reset the connection.
  socket.on('error', () => undefined);
  const closed = new Promise((resolve) => socket.once('close', resolve));
  socket.write(
    'CONNECT {"verbose":false,"pedantic":false,"tls_required":true,"name":"X","cluster":"grid"}\r\nPING\r\n',
  );
  await closed;
  return Buffer.concat(said).toString();
}

/** Servers that were away may have to choose a leader anew, and to copy what they lack. */
const CAUGHT_UP = { timeout: 120_000 };

/** Each server says that it has caught up with the others. */
async function untilHealthy(nats: TestCluster): Promise<void> {
  const states = () =>
    Promise.all(nats.monitors.map(async (url) => (await fetch(`${url}/healthz`)).status));
  await expect.poll(states, CAUGHT_UP).toEqual(nats.monitors.map(() => 200));
}

/** Each server keeps as many messages in its own store, and has caught up with the others. */
async function untilCopied(nats: TestCluster, messages: number): Promise<void> {
  await untilHealthy(nats);
  await expect.poll(() => messagesOf(nats), CAUGHT_UP).toEqual(nats.monitors.map(() => messages));
}

/** All servers keep as many messages. */
async function untilEven(nats: TestCluster): Promise<void> {
  const different = async () => new Set(await messagesOf(nats)).size;
  await expect.poll(different, CAUGHT_UP).toBe(1);
}

/** How many messages each server keeps in its own store. */
const messagesOf = (nats: TestCluster): Promise<readonly number[]> =>
  Promise.all(
    nats.monitors.map(async (url) => {
      const answer = await fetch(`${url}/jsz?streams=true`);
      const found = (await answer.json()) as { readonly messages?: number };
      return found.messages ?? 0;
    }),
  );

/** Does something once, when it is first told to. */
function doOnce(work: () => Promise<void>) {
  let running: Promise<void> | undefined;
  return {
    start: () => {
      running ??= work();
    },
    done: async () => {
      expect(running).toBeDefined();
      await running;
    },
  };
}
