/** docs/install.md, step by step, on machines with addresses of their own; then a site's link is cut for a while. */
import { chmodSync, cpSync, existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { stringify } from 'yaml';
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

/** What was sent while a link was cut for two seconds comes three seconds after, by the pauses of TCP. */
const LEASE_MS = 15_000;
let machines: Machines;

beforeAll(async () => {
  machines = await makeMachines(['ca', 'broker', 'north', 'south', 'laptop']);
});
afterAll(() => machines[Symbol.asyncDispose]());

async function startSite(machine: Machine): Promise<void> {
  const file = join(etc(machine), 'site.yaml');
  writeFileSync(file, stringify(siteSettings(machine)));
  await machine.start([GRID, 'site', 'serve', '--config', file], READY);
}

test('four machines and a laptop become a grid as docs/install.md says', async () => {
  const [ca, broker, laptop] = ['ca', 'broker', 'laptop'].map(machines.machine) as [
    Machine,
    Machine,
    Machine,
  ];
  const sites = ['north', 'south'].map(machines.machine);

  await startAuthority(ca, laptop);
  for (const machine of [ca, broker, ...sites]) await enrolHost(laptop, machine);

  const nats = join(ca.dir, 'nats');
  const identity = ['hostcert.pem', 'hostkey.pem'].map((name) => join(etc(ca), name));
  await ok(
    ca.grid([
      ...['nats', 'init', nats, '--listen', `${ca.address}:4222`],
      ...['--certificate', identity[0] ?? '', '--key', identity[1] ?? ''],
    ]),
  );
  await ca.start([await natsProgram(), '-c', join(nats, 'nats-server.conf')], '');
  mkdirSync(join(etc(broker), 'nats'), { recursive: true });
  cpSync(join(nats, 'broker'), join(etc(broker), 'nats'), { recursive: true });

  const brokerFile = join(etc(broker), 'broker.yaml');
  const config = brokerSettings(broker, {
    lease: `${LEASE_MS / 1_000}s`,
    staging: { servers: ['tls://ca.example.org:4222'], keys: 'nats' },
  });
  writeFileSync(brokerFile, stringify(config));
  const shown = await ok(
    broker.grid(['broker', 'serve', '--config', brokerFile, '--print-config']),
  );
  expect(shown).toContain('lease');
  await broker.start([GRID, 'broker', 'serve', '--config', brokerFile], READY);
  await Promise.all(sites.map(startSite));
  await addSites(laptop, sites);

  writeFileSync(join(laptop.dir, 'data.txt'), 'seven\n');
  const hello = ['--input', 'data.txt', '--output', 'out.txt', '--to', 'result'];
  await ok(
    laptop.grid([
      'run',
      ...hello,
      '--broker',
      BROKER,
      '--',
      'sh',
      '-c',
      'cat data.txt data.txt > out.txt',
    ]),
  );
  expect(readFileSync(join(laptop.dir, 'result', 'out.txt'), 'utf8')).toBe('seven\nseven\n');
});

const TASKS = 12;

test('a link that is cut for less than the lease is noticed by no task', async () => {
  const { starts, submitted } = await startArray('short');
  const south = machines.machine('south');
  south.link('down');
  await new Promise((resolve) => setTimeout(resolve, 2_000));
  south.link('up');
  await expectDone(await submitted);
  expect(starts().toSorted((a, b) => a - b)).toEqual(
    Array.from({ length: TASKS }, (_, at) => at + 1),
  );
});

test('a link that stays cut: the tasks run at the other site, and the site comes back by itself', async () => {
  const { starts, submitted } = await startArray('long');
  const south = machines.machine('south');
  south.link('down');
  await expectDone(await submitted);
  expect(new Set(starts()).size).toBe(TASKS);
  south.link('up');
  await eventually('south is up again', 60_000, async () => {
    const listing = await machines.machine('laptop').grid(['sites', '--json', '--broker', BROKER]);
    const known = JSON.parse(listing.stdout) as { id: string; state: string }[];
    return known.every(({ state }) => state === 'up') ? true : undefined;
  });
});

/** Tasks of 2 s, of which some run at the south when this returns. */
async function startArray(name: string) {
  const file = join(machines.dir, `starts-${name}`);
  writeFileSync(file, '');
  chmodSync(file, 0o666);
  const starts = (): readonly number[] =>
    existsSync(file) ? readFileSync(file, 'utf8').split('\n').filter(Boolean).map(Number) : [];
  const laptop = machines.machine('laptop');
  const script = `echo $GRID_TASK >> ${file}; sleep 2`;
  const submitted = laptop.grid([
    'submit',
    '--array',
    `1-${TASKS}`,
    '--broker',
    BROKER,
    '--',
    'sh',
    '-c',
    script,
  ]);
  await eventually('tasks run at both sites', 60_000, async () =>
    starts().length >= 5 ? true : undefined,
  );
  return { starts, submitted: ok(submitted).then((text) => text.trim()) };
}

async function expectDone(id: string): Promise<void> {
  const laptop = machines.machine('laptop');
  await ok(laptop.grid(['wait', id, '--timeout', '200s', '--broker', BROKER]));
}
