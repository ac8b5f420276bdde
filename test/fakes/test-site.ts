import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { createInterface } from 'node:readline';
import type { StagingAccounts } from '../../broker/data/staging-accounts.ts';
import { EMPTY_TREE, type TreeRef } from '../../core/data/manifest.ts';
import { siteId, voName } from '../../core/ids.ts';
import type { Outcome } from '../../core/job/outcome.ts';
import type { JobSpec } from '../../core/job/spec.ts';
import { State } from '../../proto/gen/grid/v1/common.ts';
import {
  type AttemptUpdate,
  type PlacedAnswer,
  SiteGatewayService,
} from '../../proto/gen/grid/v1/site.ts';
import { type Connection, openClient } from '../../service/rpc/grpc-client.ts';
import { outcomeFromWire, specToWire, treeToWire } from '../../service/rpc/wire.ts';
import type { LiveGrid } from './live-grid.ts';
import { resourcesOf } from './offers.ts';
import { DAY_MS, type Entity, HOUR_MS, keyPemOf, makeHost, pemOf } from './test-ca.ts';

/** A real gateway process and a broker's end of the line to it. */
export interface TestSite extends AsyncDisposable {
  readonly dir: string;
  readonly spool: string;
  readonly pid: () => number;
  readonly call: () => Connection<typeof SiteGatewayService>['call'];
  /** A connection of somebody else. */
  connectAs(chain: readonly Entity[]): Connection<typeof SiteGatewayService>;
  place(attempts: readonly Placed[], epoch?: number): Promise<readonly PlacedAnswer[]>;
  /** Updates until every one of these attempts has ended; all of them if none is named. */
  untilEnded(ids: readonly string[], afterSeq?: number): Promise<readonly AttemptUpdate[]>;
  outcomeOf(id: string): Promise<Outcome & { readonly state: State }>;
  /** Sends the gateway a staging ticket as the broker does: for the NKEY in its offer. */
  giveTicket(accounts: StagingAccounts, vo: string): Promise<void>;
  /** As a crash does. */
  kill(): Promise<void>;
  stop(): Promise<void>;
  start(): Promise<void>;
}

export interface Placed {
  readonly id: string;
  readonly spec: Partial<JobSpec> & Pick<JobSpec, 'command'>;
  readonly inputs?: TreeRef;
  readonly inputTrees?: readonly { readonly tree: TreeRef; readonly to: string }[];
  readonly taskValue?: string;
  readonly memoryBytes?: number;
  /** DN; Alice by default. */
  readonly owner?: string;
}

export const EPOCH = 7;
const ROOT = resolve(import.meta.dirname, '../..');
const ENDED: readonly State[] = [State.STATE_DONE, State.STATE_FAILED, State.STATE_CANCELLED];

/** A spec with every field, from what a test cares about. */
export const specOf = (part: Placed['spec']): JobSpec => ({
  name: 'test',
  env: {},
  inputs: [],
  outputs: [],
  requirements: '',
  rank: '',
  after: [],
  retries: 0,
  vo: voName('demo'),
  sites: [siteId('here')],
  excludeSites: [],
  stdin: '',
  onLost: 'release',
  ...part,
  resources: resourcesOf({ memoryBytes: 64 * 2 ** 20, walltimeMs: 60_000, ...part.resources }),
});

/** `settings` are lines of YAML that are added to the configuration, `before` words that go before the gateway's program. */
export async function startTestSite(
  grid: LiveGrid,
  name: string,
  settings: readonly string[] = [],
  spool = join(grid.dir, name, 'spool'),
  before: readonly string[] = [],
): Promise<TestSite> {
  const dir = join(grid.dir, name);
  mkdirSync(dir);
  // A gateway says so when less than a month is left.
  const lasting = { notBeforeMs: Date.now() - HOUR_MS, notAfterMs: Date.now() + 60 * DAY_MS };
  const host = makeHost(grid.root, `/DC=org/DC=test/CN=${name}`, ['127.0.0.1'], lasting);
  const broker = makeHost(grid.root, '/DC=org/DC=test/CN=broker', ['127.0.0.1'], lasting);
  const config = join(dir, 'site.yaml');
  writeFileSync(join(dir, 'cert.pem'), pemOf(host));
  writeFileSync(join(dir, 'key.pem'), keyPemOf(host), { mode: 0o600 });
  writeFileSync(
    config,
    [
      'listen: 127.0.0.1:0',
      'certificate: cert.pem',
      'key: key.pem',
      `trust: ${grid.trustDir}`,
      `site: ${name}`,
      'broker-dn: /DC=org/DC=test/CN=broker',
      `spool: ${spool}`,
      'log-level: warn',
      // To look for them costs every start some time.
      ...(settings.some((line) => line.startsWith('containers:'))
        ? []
        : ['containers: {runtime: none}']),
      ...settings,
    ].join('\n'),
  );
  let child: ChildProcess | undefined;
  let connection: Connection<typeof SiteGatewayService> | undefined;
  let address = '';
  const start = async (): Promise<void> => {
    child = await spawnSite(config, before);
    address = await readyAddress(child);
    connection = openClient(SiteGatewayService, 'site', address, grid.credentialsOf(broker));
  };
  const end = async (signal: NodeJS.Signals): Promise<void> => {
    connection?.close();
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
    const gone = once(child, 'exit');
    child.kill(signal);
    await gone;
  };
  await start();
  const call = (): Connection<typeof SiteGatewayService>['call'] => {
    if (connection === undefined) throw new TypeError('the site does not run');
    return connection.call;
  };
  const untilEnded = async (ids: readonly string[], afterSeq = 0) => {
    const waiting = new Set(ids);
    const updates: AttemptUpdate[] = [];
    const stop = new AbortController();
    for await (const update of call().watch({ epoch: EPOCH, afterSeq }, { signal: stop.signal })) {
      updates.push(update);
      if (ENDED.includes(update.state)) waiting.delete(update.attemptId);
      if (waiting.size === 0) break;
    }
    stop.abort();
    return updates;
  };
  const giveTicket: TestSite['giveTicket'] = async (accounts, vo) => {
    const stop = new AbortController();
    let nkey = '';
    const stream = call().advertise({ epoch: EPOCH, leaseMs: 9_000 }, { signal: stop.signal });
    for await (const { offer } of stream) {
      nkey = offer?.nkey ?? '';
      break;
    }
    stop.abort();
    const ticket = await accounts.issueTicket({
      vo,
      nkey,
      lifetimeMs: 600_000,
      purpose: 'gateway',
    });
    const tickets = [{ ...ticket, servers: [...ticket.servers] }];
    await call().renew({
      epoch: EPOCH,
      beaconMs: 0,
      instance: 'none',
      leaseMs: 0,
      tickets,
      signedUrls: [],
    });
  };
  return {
    dir,
    spool,
    giveTicket,
    pid: () => child?.pid ?? 0,
    call,
    connectAs: (chain) =>
      openClient(SiteGatewayService, 'site', address, grid.credentialsOf(...chain)),
    place: async (attempts, epoch = EPOCH) =>
      (await call().place(placeRequest(attempts, epoch))).answers,
    untilEnded,
    outcomeOf: async (id) => {
      const updates = await untilEnded([id]);
      const last = updates.findLast(({ attemptId }) => attemptId === id);
      if (last?.outcome === undefined) throw new TypeError(`${id} has no outcome`);
      return { ...outcomeFromWire(last.outcome), state: last.state };
    },
    kill: () => end('SIGKILL'),
    stop: () => end('SIGTERM'),
    start,
    [Symbol.asyncDispose]: () => end('SIGTERM'),
  };
}

const placeRequest = (attempts: readonly Placed[], epoch: number) => ({
  epoch,
  jobs: attempts.map(({ spec, inputs, inputTrees = [], owner = '/DC=org/DC=test/CN=Alice' }) => ({
    spec: specToWire(specOf(spec)),
    inputs: treeToWire(inputs ?? EMPTY_TREE),
    inputTrees: inputTrees.map(({ tree, to }) => ({ tree: treeToWire(tree), to })),
    owner: { dn: owner, vo: 'demo', fqans: ['/demo'] },
  })),
  attempts: attempts.map(({ id, taskValue = '', memoryBytes = 0 }, jobIndex) => ({
    attemptId: id,
    jobId: `job-${id}`,
    ordinal: 0,
    taskValue,
    jobIndex,
    queue: '',
    memoryBytes,
  })),
  tickets: [],
  signedUrls: [],
  session: 0,
});

function spawnSite(config: string, before: readonly string[]): Promise<ChildProcess> {
  const main = JSON.stringify(join(ROOT, 'site-gateway/main.ts'));
  const code = `const { serveSite } = await import(${main}); await serveSite(${JSON.stringify(config)}, { printConfig: false, asked: new AbortController().signal });`;
  const words = [...before, process.execPath, '--input-type=module', '-e', code];
  const child = spawn(words[0] ?? '', words.slice(1), {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  return Promise.resolve(child);
}

async function readyAddress(child: ChildProcess): Promise<string> {
  if (child.stdout === null) throw new TypeError('no stdout');
  for await (const line of createInterface(child.stdout)) {
    const said: unknown = JSON.parse(line);
    if (typeof said === 'object' && said !== null && 'address' in said) return String(said.address);
  }
  throw new Error('the gateway ended before it was ready');
}
