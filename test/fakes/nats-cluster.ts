import { appendFile, cp, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  type OpenKeeper,
  openStagingAccounts,
  type StagingAccounts,
} from '../../broker/data/staging-accounts.ts';
import { systemClock } from '../../service/clock.ts';
import { openLog } from '../../service/log.ts';
import { freePort, type NatsServerFiles, writeNatsServer } from '../../service/nats/nats-config.ts';
import { type NatsProcess, startNatsServer } from '../../service/nats/nats-process.ts';
import { parseVersion } from '../../service/nats/nats-server.ts';
import { runTool } from '../../service/run-tool.ts';
import { clientsOf, type TestClients } from './nats.ts';
import { writeTlsIdentity } from './tls-identity.ts';

/** Three real nats-servers that keep the chunks together, in a directory of their own. */
export interface TestCluster extends TestClients, AsyncDisposable {
  readonly dir: string;
  readonly caPem: string;
  readonly caFile: string;
  readonly certFile: string;
  readonly keyFile: string;
  readonly files: readonly NatsServerFiles[];
  /** `host:port` that the servers have for each other, and for leaf nodes. */
  readonly routes: readonly string[];
  readonly leaves: readonly string[];
  /** Where each server tells about itself over HTTP. */
  readonly monitors: readonly string[];
  /** The accounts of a broker that takes the place of the one before, with its keys. */
  accounts(replicas: number): Promise<void>;
  /** The broker's own way to the chunks of a VO. */
  keeper(vo: string): OpenKeeper;
  /** Ends a server as a crash does; 0 to 2. */
  crash(at: number): Promise<void>;
  start(at: number): Promise<void>;
}

const HOST = '127.0.0.1';
const SIZE = 3;

/** `replicas` is what the broker asks for first. */
export async function startNatsCluster(binary: string, replicas = 3): Promise<TestCluster> {
  const dir = await mkdtemp(join(tmpdir(), 'hanse-cluster-'));
  await using stack = new AsyncDisposableStack();
  stack.defer(() => rm(dir, { recursive: true, force: true }));
  const { certFile, keyFile, caPem } = await writeTlsIdentity(dir);
  const caFile = join(dir, 'ca.pem');
  await writeFile(caFile, caPem);
  const routes = await addresses();
  const leaves = await addresses();
  const monitors = await addresses();
  const said = await runTool(binary, ['--version'], { timeoutMs: 10_000 });
  const version = parseVersion(said.output) ?? '';
  const files: NatsServerFiles[] = [];
  for (let at = 0; at < SIZE; at += 1) {
    const home = join(dir, `n${at + 1}`);
    await mkdir(home);
    // As an administrator copies them from the first machine to the others.
    for (const kept of at === 0 ? [] : ['operator.seed', 'system.seed', 'broker'])
      await cp(join(dir, 'n1', kept), join(home, kept), { recursive: true });
    const written = await writeNatsServer({
      dir: home,
      host: HOST,
      port: await freePort(HOST),
      certFile,
      keyFile,
      leafListen: leaves[at] ?? '',
      cluster: { name: `n${at + 1}`, listen: routes[at] ?? '', peers: routes, caFile, version },
    });
    await appendFile(written.configFile, `http: "${monitors[at]}"\n`);
    files.push(written);
  }
  const servers: (NatsProcess | undefined)[] = [];
  const start = async (at: number): Promise<void> => {
    const file = files[at];
    if (file === undefined) throw new Error(`no server ${at}`);
    servers[at] = await startNatsServer({
      binary,
      configFile: file.configFile,
      logFile: join(dir, `n${at + 1}.log`),
      host: HOST,
      port: file.port,
      caPem,
      env: process.env,
    });
  };
  stack.defer(async () => {
    await Promise.all(servers.flatMap((server) => server?.stop() ?? []));
  });
  await Promise.all(files.map((_, at) => start(at)));
  const openAccounts = async (copies: number): Promise<StagingAccounts> => {
    const accounts = await openStagingAccounts({
      servers: files.map(({ url }) => url),
      operatorDir: files[0]?.brokerDir ?? '',
      stateDir: join(dir, 'broker'),
      caPem,
      vos: ['demo'],
      replicas: copies,
      clock: systemClock,
      log: openLog('test', 'silent'),
    });
    await accounts.settled();
    return accounts;
  };
  let accounts = await openAccounts(replicas);
  stack.defer(() => accounts[Symbol.asyncDispose]());
  const owned = stack.move();
  return {
    dir,
    caPem,
    caFile,
    certFile,
    keyFile,
    files,
    routes,
    leaves,
    monitors: monitors.map((address) => `http://${address}`),
    accounts: async (copies) => {
      await accounts[Symbol.asyncDispose]();
      accounts = await openAccounts(copies);
    },
    ...clientsOf({ issueTicket: (request) => accounts.issueTicket(request) }, caPem),
    keeper: (vo) => accounts.openKeeper(vo),
    crash: async (at) => {
      await servers[at]?.kill();
    },
    start,
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

async function addresses(): Promise<string[]> {
  const found: string[] = [];
  for (let at = 0; at < SIZE; at += 1) found.push(`${HOST}:${await freePort(HOST)}`);
  return found;
}
