import { createPrivateKey, X509Certificate } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { withAuthority } from '../../../cert-authority/offline.ts';
import { revoke } from '../../../cert-authority/revoke.ts';
import { identityOf, userIdentityOf } from '../../../cli/up/configs.ts';
import { type GridPlan, type Layout, layoutOf } from '../../../cli/up/layout.ts';
import { makeGrid } from '../../../cli/up/make-grid.ts';
import { renewCertificates } from '../../../cli/up/renew-certificates.ts';
import { dn } from '../../../core/ids.ts';
import { certificatesFromPem } from '../../../service/pki/x509.ts';
import { DAY_MS, makeAuthority, makeHost, pemOf } from '../../fakes/test-ca.ts';

let layout: Layout;
let plan: GridPlan;
beforeEach(async () => {
  layout = layoutOf(mkdtempSync(join(tmpdir(), 'renew-')));
  plan = await makeGrid(layout, { vo: 'demo', sites: 2, cpusPerSite: 1 });
});
afterEach(() => rmSync(layout.dir, { recursive: true }));

const renewIn = (days: number): Promise<readonly string[]> => {
  const nowMs = Date.now() + days * DAY_MS;
  return renewCertificates(layout, plan, { nowMs: () => nowMs, monotonicMs: () => nowMs });
};
const pairs = () => [
  identityOf(layout.nats),
  identityOf(layout.broker),
  ...plan.sites.map(({ name }) => identityOf(layout.site(name))),
  userIdentityOf(layout),
];
const certificateIn = (file: string) => {
  const [found] = certificatesFromPem(readFileSync(file, 'utf8'));
  if (found === undefined) throw new Error(`${file} holds no certificate`);
  return found;
};
const ALL = ['nats-server', 'broker', 'site luebeck', 'site hamburg', 'its user'];

test('certificates are renewed in the last third of their life, and not before', async () => {
  const old = pairs().map(({ certificate }) => certificateIn(certificate));
  expect(await renewIn(240)).toEqual([]);
  expect(await renewIn(250)).toEqual(ALL);
  expect(await renewIn(250)).toEqual([]);
  for (const [at, { certificate, key }] of pairs().entries()) {
    const fresh = certificateIn(certificate);
    const { subject, dnsNames, ipAddresses, extendedKeyUsage } = fresh;
    expect(old[at]).toMatchObject({ subject, dnsNames, ipAddresses, extendedKeyUsage });
    expect(fresh.notAfterMs).toBeGreaterThan(Date.now() + 600 * DAY_MS);
    const secret = createPrivateKey(readFileSync(key));
    expect(new X509Certificate(fresh.der).checkPrivateKey(secret)).toBe(true);
    expect(statSync(key).mode & 0o777).toBe(0o600);
  }
});

test('a key to which somebody gave a pass phrase stays, and its certificate with it', async () => {
  const { key } = userIdentityOf(layout);
  const locked = createPrivateKey(readFileSync(key)).export({
    ...({ type: 'pkcs8', format: 'pem' } as const),
    ...{ cipher: 'aes-256-cbc', passphrase: 'secret' },
  });
  writeFileSync(key, locked);
  expect(await renewIn(250)).toEqual(ALL.filter((of) => of !== 'its user'));
  expect(readFileSync(key, 'utf8')).toBe(locked);
});

test('a grid that nobody has used for years gets certificates again', async () => {
  expect(await renewIn(3 * 365)).toEqual(ALL);
});

test('what was revoked, or is of another authority, stays as it is', async () => {
  const [left, other] = plan.sites.map(({ name }) => identityOf(layout.site(name)).certificate);
  const { serial } = certificateIn(left ?? '');
  const by = dn(plan.userDn);
  await withAuthority(layout.authority, undefined, (authority) =>
    revoke(authority, { serial, reason: '', by }),
  );
  const stranger = makeAuthority('/DC=org/DC=test/CN=Another');
  const theirs = pemOf(makeHost(stranger, '/DC=org/DC=test/CN=hamburg', ['localhost']));
  writeFileSync(other ?? '', theirs);
  expect(await renewIn(400)).toEqual(['nats-server', 'broker', 'its user']);
  expect(certificateIn(left ?? '').serial).toBe(serial);
  expect(readFileSync(other ?? '', 'utf8')).toBe(theirs);
});

test('what comes after a certificate in its file stays there', async () => {
  const { certificate } = identityOf(layout.broker);
  const above = readFileSync(join(layout.authority, 'ca.pem'), 'utf8');
  writeFileSync(certificate, readFileSync(certificate, 'utf8') + above);
  await renewIn(250);
  const [, ...rest] = certificatesFromPem(readFileSync(certificate, 'utf8'));
  expect(rest.map(({ serial }) => serial)).toEqual(
    certificatesFromPem(above).map(({ serial }) => serial),
  );
});
