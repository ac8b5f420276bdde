import { randomBytes } from 'node:crypto';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fmtCreds } from '@nats-io/jwt';
import { createUser } from '@nats-io/nkeys';
import { credsAuthenticator } from '@nats-io/transport-node';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { writeLeafPackage } from '../../broker/data/leaf-package.ts';
import { openStagingAccounts, type StagingAccounts } from '../../broker/data/staging-accounts.ts';
import { systemClock } from '../../service/clock.ts';
import { openLog } from '../../service/log.ts';
import { freePort } from '../../service/nats/nats-config.ts';
import { writeLeafServer } from '../../service/nats/nats-leaf.ts';
import { type NatsProcess, startNatsServer } from '../../service/nats/nats-process.ts';
import { sha256 } from '../../service/staging/chunk-store.ts';
import { fetchTree } from '../../service/staging/fetch-tree.ts';
import { chunkSubject, directGetSubject } from '../../service/staging/names.ts';
import { connectNats } from '../../service/staging/nats-connect.ts';
import { sendTree } from '../../service/staging/send-tree.ts';
import { chunkStoreContract } from '../contract/chunk-store.contract.ts';
import { openCorruptible } from '../fakes/corruptible-chunks.ts';
import { clientsOf, type TestClients, testNatsBinary } from '../fakes/nats.ts';
import { startNatsCluster, type TestCluster } from '../fakes/nats-cluster.ts';

const HOST = '127.0.0.1';
let grid: TestCluster;
let leaf: NatsProcess;
let dir: string;
let url: string;
let accounts: StagingAccounts;
let atLeaf: TestClients;
beforeAll(async () => {
  const binary = await testNatsBinary();
  grid = await startNatsCluster(binary);
  dir = join(grid.dir, 'leaf');
  ({ leaf, url } = await startLeaf(binary, 'leaf', Date.now() + 3_600_000));
  // Their tickets name the leaf node only.
  accounts = await openStagingAccounts({
    servers: grid.files.map((file) => file.url),
    operatorDir: operatorDir(),
    stateDir: stateDir(),
    caPem: grid.caPem,
    vos: ['demo'],
    replicas: 3,
    clock: systemClock,
    log: openLog('test', 'silent'),
  });
  const issueTicket: StagingAccounts['issueTicket'] = async (request) => ({
    ...(await accounts.issueTicket(request)),
    servers: [url],
  });
  atLeaf = clientsOf({ ...accounts, issueTicket }, grid.caPem);
});

const operatorDir = (): string => grid.files[0]?.brokerDir ?? '';
const stateDir = (): string => join(grid.dir, 'broker');

/** A leaf node whose credentials end at an instant. */
async function startLeaf(binary: string, name: string, expiresAtMs: number) {
  const home = join(grid.dir, name);
  await writeLeafPackage({
    dir: home,
    servers: grid.leaves.map((address) => `tls://${address}`),
    operatorDir: operatorDir(),
    stateDir: stateDir(),
    vos: ['demo'],
    expiresAtMs,
  });
  const port = await freePort(HOST);
  const { caFile, certFile, keyFile, caPem } = grid;
  const files = await writeLeafServer({ dir: home, host: HOST, port, certFile, keyFile, caFile });
  const server = await startNatsServer({
    binary,
    configFile: files.configFile,
    logFile: join(grid.dir, `${name}.log`),
    host: HOST,
    port,
    caPem,
    env: process.env,
  });
  return { leaf: server, url: files.url };
}
afterAll(async () => {
  await accounts[Symbol.asyncDispose]();
  await leaf.stop();
  await grid[Symbol.asyncDispose]();
});

chunkStoreContract('a leaf node', () => openCorruptible(atLeaf, 'demo'));

test('what was sent to the grid is fetched by way of the leaf node, though a server ends', async () => {
  const root = join(grid.dir, 'root');
  await mkdir(root);
  const content = randomBytes(30 * 2 ** 20);
  await writeFile(join(root, 'large.bin'), content);
  await using outside = grid.open('demo');
  const { tree } = await sendTree(outside, { root, paths: ['.'] });
  await using inside = atLeaf.open('demo');
  let crash: Promise<void> | undefined;
  const target = join(grid.dir, 'target');
  await fetchTree(inside, tree, target, {
    onProgress: () => {
      crash ??= grid.crash(0);
    },
  });
  await crash;
  expect(sha256(await readFile(join(target, 'large.bin')))).toBe(sha256(content));
  await grid.start(0);
});

test('the credentials of a leaf node are good for nothing else', async () => {
  const creds = await readFile(join(dir, 'demo.creds'));
  const servers = [url, ...grid.files.map((file) => file.url)];
  for (const server of servers) {
    const connection = connectNats({
      servers: [server],
      authenticator: credsAuthenticator(creds),
      inboxPrefix: '_INBOX.leaf',
      caPem: grid.caPem,
    });
    await expect(connection).rejects.toThrow(/authorization/i);
  }
});

/** A leaf node that asks nobody who they are. */
async function startRogue(credentials: string) {
  const { certFile, keyFile, caFile, caPem } = grid;
  const port = await freePort(HOST);
  const configFile = `${credentials}.conf`;
  const logFile = `${credentials}.log`;
  const urls = grid.leaves.map((address) => `"tls://${address}"`).join(', ');
  const remote = `urls: [${urls}], credentials: "${credentials}", tls { ca_file: "${caFile}" }`;
  const tls = `cert_file: "${certFile}", key_file: "${keyFile}"`;
  const text = `listen: "${HOST}:${port}"\ntls { ${tls} }\nleafnodes { remotes: [{ ${remote} }] }\n`;
  await writeFile(configFile, text);
  const binary = await testNatsBinary();
  const server = { binary, configFile, logFile, host: HOST, port, caPem, env: process.env };
  return { port, logFile, running: await startNatsServer(server) };
}

test('a leaf node that asks nobody who they are carries chunks, and nothing else', async () => {
  const { port, running } = await startRogue(join(dir, 'demo.creds'));
  await using _rogue = running;
  const anybody = await connectNats({
    servers: [`tls://${HOST}:${port}`],
    authenticator: () => ({ user: '' }),
    inboxPrefix: '_INBOX',
    caPem: grid.caPem,
  });
  const ask = (subject: string) =>
    anybody.request(subject, '', { timeout: 1_000 }).then(
      () => 'answered',
      () => 'no answer',
    );
  const chunk = directGetSubject(chunkSubject('demo', sha256(randomBytes(1))), 'leaf');
  await expect.poll(() => ask(chunk)).toBe('answered');
  const apis = ['STREAM.INFO.STAGE', 'STREAM.PURGE.STAGE', 'STREAM.LIST', 'INFO'];
  const asked = ['$JS.grid.API', '$JS.API'].flatMap((api) => apis.map((verb) => `${api}.${verb}`));
  expect(await Promise.all(asked.map(ask))).toEqual(asked.map(() => 'no answer'));
  await anybody.close();
});

test('the ticket of a member opens no leaf node', async () => {
  const user = createUser();
  const request = { vo: 'demo', nkey: user.getPublicKey(), lifetimeMs: 60_000 } as const;
  const { userJwt } = await accounts.issueTicket({ ...request, purpose: 'user' });
  const credentials = join(grid.dir, 'member.creds');
  await writeFile(credentials, fmtCreds(userJwt, user));
  const { logFile, running } = await startRogue(credentials);
  await using _rogue = running;
  await expect.poll(() => readFile(logFile, 'utf8')).toMatch(/authorization/i);
});

test('a member behind a leaf node may do no more than in front of it', async () => {
  const member = await atLeaf.member('demo');
  for (const subject of ['$JS.API.STREAM.PURGE.STAGE', '$JS.API.STREAM.INFO.STAGE', 'other'])
    await expect(member.request(subject, '', { timeout: 20_000 })).rejects.toThrow(/permission/i);
  const foreign = directGetSubject(chunkSubject('other', sha256(randomBytes(1))));
  await expect(member.request(foreign, '', { timeout: 20_000 })).rejects.toThrow(/permission/i);
  await member.close();
});

test('where a leaf node has lost the grid, those behind it go on with the servers of the grid', async () => {
  const cut = await startLeaf(await testNatsBinary(), 'cut', Date.now() - 1_000);
  await using _stopped = cut.leaf;
  const issueTicket: StagingAccounts['issueTicket'] = async (request) => {
    const ticket = await accounts.issueTicket(request);
    return { ...ticket, servers: [cut.url, ...ticket.servers] };
  };
  await using store = clientsOf({ ...accounts, issueTicket }, grid.caPem).open('demo');
  const bytes = randomBytes(100_000);
  await store.put(sha256(bytes), bytes);
  expect(Buffer.compare(await store.get(sha256(bytes)), bytes)).toBe(0);
});

test('a broker goes on with the next server where one lets it in and does nothing', async () => {
  const cut = await startLeaf(await testNatsBinary(), 'deaf', Date.now() - 1_000);
  await using _stopped = cut.leaf;
  await using broker = await openStagingAccounts({
    servers: [cut.url, ...grid.files.map((file) => file.url)],
    operatorDir: operatorDir(),
    stateDir: stateDir(),
    caPem: grid.caPem,
    vos: ['demo'],
    replicas: 3,
    clock: systemClock,
    log: openLog('test', 'silent'),
  });
  await expect(broker.settled()).resolves.toBeUndefined();
});
