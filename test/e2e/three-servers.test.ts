/** docs/nats.md, step by step: three servers and a leaf node, on machines with names and addresses of their own. */
import { randomBytes } from 'node:crypto';
import {
  cpSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { stringify } from 'yaml';
import { stopPid } from '../../cli/up/process.ts';
import { sha256 } from '../../service/staging/chunk-store.ts';
import {
  addSites,
  BROKER,
  brokerSettings,
  enrolHost,
  etc,
  natsProgram,
  ok,
  READY,
  siteSettings,
  startAuthority,
} from '../support/example-grid.ts';
import { eventually, GRID } from '../support/local-grid.ts';
import { type Machine, type Machines, makeMachines } from '../support/machines.ts';

const SERVERS = ['n1', 'n2', 'n3'];
const CONTENT = randomBytes(40 * 2 ** 20);
const DIGEST = sha256(CONTENT);
let machines: Machines;
let binary: string;
const pids = new Map<string, number | undefined>();

beforeAll(async () => {
  machines = await makeMachines([...SERVERS, 'ca', 'broker', 'leaf', 'north', 'laptop']);
  binary = await natsProgram();
});
afterAll(() => machines[Symbol.asyncDispose]());

const natsDir = (machine: Machine): string => join(machine.dir, 'nats');
const identity = (machine: Machine): string[] => [
  ...['--certificate', join(etc(machine), 'hostcert.pem')],
  ...['--key', join(etc(machine), 'hostkey.pem'), '--ca', join(etc(machine), 'ca.pem')],
];

/** `cat certificates/*.0 > ca.pem`. */
function writeAuthorities(machine: Machine): void {
  const dir = join(etc(machine), 'certificates');
  const files = readdirSync(dir).filter((name) => name.endsWith('.0'));
  const pem = files.map((name) => readFileSync(join(dir, name), 'utf8')).join('');
  writeFileSync(join(etc(machine), 'ca.pem'), pem);
}

async function startServer(server: Machine, first: Machine): Promise<void> {
  mkdirSync(natsDir(server), { recursive: true });
  for (const kept of server === first ? [] : ['operator.seed', 'system.seed', 'broker'])
    cpSync(join(natsDir(first), kept), join(natsDir(server), kept), { recursive: true });
  const peers = SERVERS.filter((name) => name !== server.name);
  await ok(
    server.grid([
      ...['nats', 'init', natsDir(server), '--listen', '0.0.0.0:4222', '--name', server.name],
      ...['--cluster', '0.0.0.0:6222', '--leaf-listen', '0.0.0.0:7422', ...identity(server)],
      ...peers.flatMap((name) => ['--peer', `${name}.example.org:6222`]),
    ]),
  );
  const command = [binary, '-c', join(natsDir(server), 'nats-server.conf')];
  pids.set(server.name, (await server.start(command, '')).pid);
}

async function startBroker(broker: Machine): Promise<void> {
  cpSync(join(natsDir(machines.machine('n1')), 'broker'), join(etc(broker), 'nats'), {
    recursive: true,
  });
  const urls = (port: number) => SERVERS.map((name) => `tls://${name}.example.org:${port}`);
  const staging = {
    ...{ servers: urls(4222), 'leaf-servers': urls(7422), replicas: 3, keys: 'nats' },
  };
  const file = join(etc(broker), 'broker.yaml');
  writeFileSync(file, stringify(brokerSettings(broker, { staging })));
  await broker.start([GRID, 'broker', 'serve', '--config', file], READY);
}

/** Made on the broker's machine, copied to the site; gives the line for `site.yaml`. */
async function startLeaf(broker: Machine, leaf: Machine): Promise<readonly string[]> {
  const config = join(etc(broker), 'broker.yaml');
  await ok(broker.grid(['broker', 'leaf', 'north-leaf', '--config', config, '--vo', 'biomed']));
  const dir = join(leaf.dir, 'north-leaf');
  cpSync(join(broker.dir, 'north-leaf'), dir, { recursive: true });
  writeAuthorities(leaf);
  const init = ['nats', 'leaf', dir, '--listen', '0.0.0.0:4222', ...identity(leaf), '--json'];
  const { url } = JSON.parse(await ok(leaf.grid(init))) as { readonly url: string };
  await leaf.start([binary, '-c', join(dir, 'nats-server.conf')], '');
  return [url];
}

/** All that a machine's programs have logged. */
const logOf = ({ dir }: Machine): string =>
  readdirSync(dir)
    .filter((name) => name.endsWith('.log'))
    .map((name) => readFileSync(join(dir, name), 'utf8'))
    .join('');

/** Digests of what a job at the site reads of `large.bin`, and of what `grid data get` brings of it. */
async function digests(name: string): Promise<readonly string[]> {
  const laptop = machines.machine('laptop');
  const run = ['run', '--broker', BROKER, '-i', 'grid:/biomed/large=in', '--', 'sh', '-c'];
  const shown = await ok(laptop.grid([...run, `sha256sum < in/large.bin # ${name}`]));
  await ok(laptop.grid(['data', 'get', 'large', name, '--broker', BROKER]));
  return [shown.slice(0, 64), sha256(readFileSync(join(laptop.dir, name, 'large.bin')))];
}

test('three servers and a leaf node stand as docs/nats.md says', async () => {
  const [ca, broker, leaf, north, laptop] = ['ca', 'broker', 'leaf', 'north', 'laptop'].map(
    machines.machine,
  ) as [Machine, Machine, Machine, Machine, Machine];
  const servers = SERVERS.map(machines.machine) as [Machine, Machine, Machine];
  await startAuthority(ca, laptop);
  for (const machine of [...servers, broker, leaf, north]) await enrolHost(laptop, machine);
  for (const server of servers) {
    writeAuthorities(server);
    await startServer(server, servers[0]);
  }
  await startBroker(broker);
  const settings = siteSettings(north, { 'nats-servers': await startLeaf(broker, leaf) });
  const file = join(etc(north), 'site.yaml');
  writeFileSync(file, stringify(settings));
  await north.start([GRID, 'site', 'serve', '--config', file], READY);
  await addSites(laptop, [north]);
  mkdirSync(join(laptop.dir, 'tree'));
  writeFileSync(join(laptop.dir, 'tree', 'large.bin'), CONTENT);
  await ok(laptop.grid(['data', 'put', 'tree', 'large', '--broker', BROKER]));
  expect(await digests('first')).toEqual([DIGEST, DIGEST]);
});

test('a server that is lost for good gets its copies from the two others', async () => {
  const [n1, n3] = [machines.machine('n1'), machines.machine('n3')];
  await stopPid(pids.get('n3') ?? 0);
  rmSync(natsDir(n3), { recursive: true });
  await startServer(n3, n1);
  // A folder that it has just let go of cannot be read.
  const stored = async (): Promise<number> => storedBytes(n3);
  await expect.poll(stored, { timeout: 120_000 }).toBeGreaterThan(CONTENT.byteLength);
  // Nobody tries an address that is in no certificate.
  for (const machine of [...SERVERS, 'leaf'].map(machines.machine))
    expect(
      logOf(machine)
        .split('\n')
        .filter((line) => line.includes('certificate')),
    ).toEqual([]);
});

test('a machine that has lost its power is given up in half a minute, and nothing is lost', async () => {
  const [n1, n2] = [machines.machine('n1'), machines.machine('n2')];
  n2.link('down');
  await eventually('n1 has given n2 up', 90_000, async () =>
    logOf(n1).includes('Stale Connection - Remote: n2') ? true : undefined,
  );
  expect(await digests('without-n2')).toEqual([DIGEST, DIGEST]);
});

/** Bytes of the files in which a server keeps its chunks. */
const storedBytes = (server: Machine): number =>
  readdirSync(natsDir(server), { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .reduce(
      (sum, { parentPath, name }) =>
        sum + (statSync(join(parentPath, name), { throwIfNoEntry: false })?.size ?? 0),
      0,
    );
