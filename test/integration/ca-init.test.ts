import { execFileSync } from 'node:child_process';
import { X509Certificate } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { AUTHORITY_CONFIG } from '../../cert-authority/config.ts';
import { initAuthority, issueOffline, startAuthority } from '../../cert-authority/main.ts';
import { systemClock } from '../../service/clock.ts';
import { loadConfig } from '../../service/config.ts';
import { openLog } from '../../service/log.ts';
import { makeSigningRequest } from '../../service/pki/csr.ts';
import { AUTHORITY_BASE } from '../fakes/live-authority.ts';
import { needs } from '../setup/needs.ts';

const DAY_MS = 86_400_000;

needs('openssl', 'openssl');

const scratch = mkdtempSync(join(tmpdir(), 'ca-init-'));
afterAll(() => rmSync(scratch, { recursive: true }));

const openssl = (...args: readonly string[]): string =>
  execFileSync('openssl', args, { encoding: 'utf8', cwd: scratch, stdio: 'pipe' });

describe.for(['ec', 'rsa'] as const)('an authority with an %s key', (kind) => {
  let dir: string;
  beforeAll(async () => {
    dir = join(scratch, kind);
    await initAuthority({ dir, name: `${AUTHORITY_BASE}/CN=CA of ${kind}`, keyKind: kind });
  });

  test('keeps its keys to itself', () => {
    const modes = ['ca.key', 'hostkey.pem', 'authority.yaml', 'state/authority.db'].map(
      (file) => statSync(join(dir, file)).mode & 0o777,
    );
    expect(modes).toEqual([0o600, 0o600, 0o600, 0o600]);
  });

  test('is refused a second time in the same place', async () => {
    const again = initAuthority({ dir, name: `${AUTHORITY_BASE}/CN=Another` });
    await expect(again).rejects.toMatchObject({ code: 'ALREADY_EXISTS' });
  });

  test.for(['user', 'host', 'robot'] as const)(
    'OpenSSL accepts its %s certificates',
    async (profile) => {
      const commonName = profile === 'host' ? 'gw.example.org' : 'somebody';
      const { csr } = await makeSigningRequest('ec', 'ignored');
      const issued = await issueOffline(dir, { profile, commonName, altNames: [], csr });
      const file = join(scratch, `${kind}-${profile}.pem`);
      writeFileSync(file, issued.certificatePem);
      const purpose = profile === 'host' ? 'sslserver' : 'sslclient';
      const trust = join(dir, 'trust');
      const strict = ['-x509_strict', '-CApath', trust, '-crl_check_all', '-purpose', purpose];
      expect(openssl('verify', ...strict, file)).toMatch(/: OK\n$/);
    },
  );

  test('OpenSSL verifies its revocation list', () => {
    const hash = openssl('x509', '-noout', '-hash', '-in', join(dir, 'ca.pem')).trim();
    const list = join(dir, 'trust', `${hash}.r0`);
    const said = execFileSync(
      'sh',
      ['-c', 'openssl crl -in "$1" -CAfile "$2" -noout 2>&1', 'sh', list, join(dir, 'ca.pem')],
      { encoding: 'utf8' },
    );
    expect(said).toBe('verify OK\n');
  });

  test('has host names for loopback in the certificate that it serves with', () => {
    const served = new X509Certificate(readFileSync(join(dir, 'hostcert.pem')));
    expect(served.checkHost('localhost')).toBe('localhost');
    expect(served.checkIP('127.0.0.1')).toBe('127.0.0.1');
    expect(served.checkIP('::1')).toBe('::1');
  });
});

test('an authority that starts renews its own certificate in time, for the same names', async () => {
  const dir = join(scratch, 'renewing');
  const file = join(dir, 'hostcert.pem');
  const elevenMonthsAgo = Date.now() - 340 * DAY_MS;
  const clock = { nowMs: () => elevenMonthsAgo, monotonicMs: () => 0 };
  const wish = { dir, name: `${AUTHORITY_BASE}/CN=Old CA`, listen: '127.0.0.1:0', clock };
  const { configFile } = await initAuthority(wish);
  const before = new X509Certificate(readFileSync(file));
  const { config } = loadConfig(AUTHORITY_CONFIG, configFile);
  const around = { clock: systemClock, log: openLog('authority', 'silent') };
  await using authority = await startAuthority(config, around);
  expect(authority.address).toMatch(/^127\.0\.0\.1:\d+$/);
  const after = new X509Certificate(readFileSync(file));
  expect(after.subjectAltName).toBe(before.subjectAltName);
  expect(after.validToDate.getTime() - Date.now()).toBeGreaterThan(360 * DAY_MS);
});
