import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { connect as connectTcp } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connect as connectTls } from 'node:tls';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { issueOffline } from '../../cert-authority/main.ts';
import { identityOf, userIdentityOf } from '../../cli/up/configs.ts';
import { type GridPlan, type Layout, layoutOf } from '../../cli/up/layout.ts';
import { makeGrid } from '../../cli/up/make-grid.ts';
import { endProcessesBelow } from '../../cli/up/process.ts';
import { pause } from '../../service/background.ts';
import { makeSigningRequest } from '../../service/pki/csr.ts';
import { certificatesFromPem } from '../../service/pki/x509.ts';
import { writeAtomic } from '../../service/write-atomic.ts';
import { eventually, runGrid } from '../support/local-grid.ts';

let home = '';
let layout: Layout;
let plan: GridPlan;
beforeAll(async () => {
  home = mkdtempSync(join(tmpdir(), 'hanse-renewal-'));
  layout = layoutOf(join(home, 'g'));
  plan = await makeGrid(layout, { vo: 'demo', sites: 2, cpusPerSite: 1 });
});
afterAll(async () => {
  await endProcessesBelow(home);
  rmSync(home, { recursive: true, force: true });
});

const grid = (...args: readonly string[]) =>
  runGrid(args, { cwd: home, env: { ...process.env, HANSE_HOME: layout.user, NO_COLOR: '1' } });

type Pair = ReturnType<typeof identityOf>;
const SHORT_MS = 3_000;

/** In its place a certificate that ends in a moment, and so does its use. */
async function shorten(pair: Pair, profile: 'host' | 'user', commonName: string): Promise<void> {
  const { keyPem, csr } = await makeSigningRequest('ec', commonName);
  const altNames = profile === 'host' ? ['localhost', '127.0.0.1'] : [];
  const wanted = { profile, commonName, altNames, lifetimeMs: SHORT_MS };
  const { certificatePem } = await issueOffline(layout.authority, { ...wanted, csr });
  await writeAtomic(pair.key, keyPem, 0o600);
  await writeAtomic(pair.certificate, certificatePem, 0o644);
}

const serialIn = ({ certificate }: Pair): string =>
  certificatesFromPem(readFileSync(certificate, 'utf8'))[0]?.serial ?? '';

/** Serial of the certificate that a service shows; nats-server speaks first, in clear. */
async function shownAt(port: number, speaksFirst: boolean): Promise<string> {
  const socket = connectTcp(port, '127.0.0.1');
  await once(socket, speaksFirst ? 'data' : 'connect');
  const secure = connectTls({ socket, ALPNProtocols: ['h2'], rejectUnauthorized: false });
  await once(secure, 'secureConnect');
  const { serialNumber } = secure.getPeerCertificate();
  secure.destroy();
  return serialNumber.toLowerCase();
}

test('a grid whose certificates have ended comes up again with new ones', async () => {
  await shorten(identityOf(layout.nats), 'host', 'nats.localhost');
  await shorten(identityOf(layout.broker), 'host', 'broker.localhost');
  await shorten(identityOf(layout.site('luebeck')), 'host', 'luebeck.localhost');
  await shorten(userIdentityOf(layout), 'user', 'Grid User');
  await pause(SHORT_MS);
  const up = await grid('up', '--dir', 'g', '--detach');
  expect(up).toMatchObject({
    code: 0,
    stderr: expect.stringContaining('renewed: nats-server, broker, site luebeck, its user\n'),
  });
  const ran = await grid('run', '--site', 'luebeck', '--', 'echo', 'up again');
  expect(ran).toMatchObject({ code: 0, stdout: 'up again\n' });
});

test('one that runs is given new ones by `grid up`, and takes them up', async () => {
  const [nats, broker] = [identityOf(layout.nats), identityOf(layout.broker)];
  await shorten(nats, 'host', 'nats.localhost');
  await shorten(broker, 'host', 'broker.localhost');
  await pause(SHORT_MS);
  const up = await grid('up', '--dir', 'g', '--detach');
  expect(up).toMatchObject({ code: 0, stderr: expect.stringContaining('runs already') });
  expect(up.stderr).toContain('renewed: nats-server, broker\n');
  for (const [pair, port, speaksFirst] of [
    [nats, plan.ports.nats, true],
    [broker, plan.ports.broker, false],
  ] as const)
    await eventually(`${port} shows the new one`, 120_000, async () =>
      (await shownAt(port, speaksFirst)) === serialIn(pair) ? true : undefined,
    );
  const ran = await grid('run', '--', 'echo', 'as before');
  expect(ran).toMatchObject({ code: 0, stdout: 'as before\n' });
});
