/** What docs/install.md does on each of several machines, for the tests that follow the pages. */

import { homedir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'vitest';
import { obtainNatsServer } from '../../cli/up/start-grid.ts';
import { eventually, GRID, type Ran } from './local-grid.ts';
import type { Machine } from './machines.ts';

/** What the names of all in the grid begin with. */
const BASE = '/DC=org/DC=example';
export const BROKER = 'broker.example.org:7450';
/** What a service prints once it serves. */
export const READY = '"ready":true';

/** What a command printed; fails with its own words. */
export async function ok(running: Promise<Ran>): Promise<string> {
  const { code, stdout, stderr } = await running;
  expect({ code, stderr }).toMatchObject({ code: 0 });
  return stdout;
}

/** What is `/etc/hanse` on a machine of its own. */
export const etc = (machine: Machine): string => join(machine.dir, 'etc');

/** Makes and starts the authority, and its administrator with a proxy for the VO `biomed`. */
export async function startAuthority(ca: Machine, laptop: Machine): Promise<void> {
  const dir = join(ca.dir, 'authority');
  const init = await ok(
    ca.grid([
      ...['ca', 'init', dir, '--name', `${BASE}/CN=Example Grid CA`, '--admin', 'Ada Lovelace'],
      ...['--listen', `${ca.address}:7440`, '--public', 'ca.example.org:7440', '--json'],
    ]),
  );
  const [token] = /eyJ[\w.-]+/.exec(init) ?? [''];
  await ca.start([GRID, 'authority', 'serve', '--config', join(dir, 'authority.yaml')], READY);
  await ok(laptop.grid(['cert', 'request', '--token', token]));
  await ok(laptop.grid(['vo', 'create', 'biomed']));
  await ok(laptop.grid(['login', '--vo', 'biomed']));
}

/** A host certificate for a machine, and whom it shall trust. */
export async function enrolHost(laptop: Machine, machine: Machine): Promise<void> {
  const made = await ok(
    laptop.grid(['ca', 'token', '--profile', 'host', '--name', machine.host, '--json']),
  );
  const { token } = JSON.parse(made) as { token: string };
  await ok(machine.grid(['cert', 'request', '--token', token, '--out', etc(machine)]));
  await ok(
    machine.grid([
      ...['ca', 'trust', '--authority', 'ca.example.org:7440'],
      ...['--dir', join(etc(machine), 'certificates'), '--vomsdir', join(etc(machine), 'vomsdir')],
    ]),
  );
}

const common = (machine: Machine): object => ({
  certificate: 'hostcert.pem',
  key: 'hostkey.pem',
  trust: 'certificates',
  listen: `${machine.address}:${machine.name === 'broker' ? 7450 : 7460}`,
});

/** `broker.yaml`; `more` besides what the page has. */
export const brokerSettings = (broker: Machine, more: object): object => ({
  ...common(broker),
  vomsdir: 'vomsdir',
  state: join(broker.dir, 'state'),
  vos: ['biomed'],
  admins: [`${BASE}/OU=People/CN=Ada Lovelace`],
  ...more,
});

/** `site.yaml`; `more` besides what the page has. */
export const siteSettings = (site: Machine, more: object = {}): object => ({
  ...common(site),
  site: site.name,
  'broker-dn': `${BASE}/OU=Hosts/CN=broker.example.org`,
  spool: join(site.dir, 'spool'),
  cpus: 4,
  memory: '4G',
  ...more,
});

/** Tells the broker of sites, and waits until all of them are up. */
export async function addSites(laptop: Machine, sites: readonly Machine[]): Promise<void> {
  for (const { name, host } of sites) {
    const dn = `${BASE}/OU=Hosts/CN=${host}`;
    const where = ['--address', `${host}:7460`, '--dn', dn, '--broker', BROKER];
    await ok(laptop.grid(['site', 'add', name, ...where]));
  }
  await eventually('all sites are up', 60_000, async () => {
    const listing = await ok(laptop.grid(['sites', '--json', '--broker', BROKER]));
    const known = JSON.parse(listing) as { state: string }[];
    return known.filter(({ state }) => state === 'up').length === sites.length ? true : undefined;
  });
}

/** The program of a nats-server of now. */
export async function natsProgram(): Promise<string> {
  const { signal } = new AbortController();
  return (await obtainNatsServer(process.env, homedir(), signal, () => undefined)).path;
}
