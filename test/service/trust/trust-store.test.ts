import { mkdtempSync, readdirSync, rmSync, unlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pino } from 'pino';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { nameFromDn } from '../../../service/pki/name.ts';
import { readCertificateParts } from '../../../service/pki/x509.ts';
import { oldSubjectHash, subjectHash } from '../../../service/trust/trust-dir.ts';
import { TrustStore } from '../../../service/trust/trust-store.ts';
import {
  crlOf,
  DAY_MS,
  installIn,
  makeAuthority,
  makeUser,
  NOON_MS,
  pemOf,
} from '../../fakes/test-ca.ts';

const root = makeAuthority('/DC=org/DC=test/CN=Root');
const alice = makeUser(root, '/DC=org/DC=test/CN=Alice');
const revoked = [{ serial: alice.cert.serial, revokedAtMs: NOON_MS }];
const log = pino({ level: 'silent' });

let dir: string;
let nowMs = NOON_MS;
const clock = { nowMs: () => nowMs, monotonicMs: () => 0 };
beforeEach(() => {
  nowMs = NOON_MS;
  dir = mkdtempSync(join(tmpdir(), 'hanse-trust-'));
});
afterEach(() => rmSync(dir, { recursive: true }));

const open = (crl: 'require' | 'optional' = 'require'): TrustStore =>
  TrustStore.open({ dir, crl, clock, log, reloadMs: 0 });

describe('a trust directory', () => {
  test('gives each authority once, with its policy and its revocation list', async () => {
    await installIn(dir, root);
    using trust = open();
    expect(trust.anchors()).toMatchObject([
      {
        cert: { subject: '/DC=org/DC=test/CN=Root' },
        subjectPatterns: ['/DC=org/DC=test/*'],
        crl: { signatureOk: true, crlNumber: 1n },
      },
    ]);
    expect(trust.caPem()).toBe(pemOf(root));
    const name = readCertificateParts(root.der).subject;
    expect(readdirSync(dir)).toContain(`${subjectHash(name)}.r0`);
    expect(readdirSync(dir)).toContain(`${oldSubjectHash(name)}.signing_policy`);
    expect(trust.crlPem()).toMatch(/^-----BEGIN X509 CRL-----/);
  });

  test('ignores what is no authority', async () => {
    await installIn(dir, root);
    writeFileSync(join(dir, 'alice.pem'), pemOf(alice));
    writeFileSync(
      join(dir, 'broken.0'),
      '-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n',
    );
    using trust = open();
    expect(trust.anchors()).toHaveLength(1);
  });

  test('that is missing, or empty when certificates are asked for, is an error', () => {
    using empty = open();
    expect(() => empty.caPem()).toThrow('no certificate of an authority');
    expect(() => TrustStore.open({ dir: join(dir, 'no'), crl: 'require', clock, log })).toThrow(
      'cannot be read',
    );
  });

  test('without a revocation list fails closed, or does without where that is allowed', () => {
    writeFileSync(join(dir, 'root.pem'), pemOf(root));
    using strict = open();
    using lax = open('optional');
    expect(() => strict.crlPem()).toThrow("no revocation list of '/DC=org/DC=test/CN=Root'");
    expect(lax.crlPem()).toBe('');
  });
});

describe('a change of the directory', () => {
  test('is seen at the next reload and told once', async () => {
    await installIn(dir, root);
    using trust = open();
    let told = 0;
    trust.onChange(() => {
      told += 1;
    });
    trust.reload();
    expect(told).toBe(0);
    await installIn(dir, root, crlOf(root, { number: 2, revoked }));
    trust.reload();
    trust.reload();
    expect(told).toBe(1);
    expect(trust.anchors()[0]?.crl?.revoked.has(alice.cert.serial)).toBe(true);
  });

  test('to an older revocation list, a foreign one or none does not bring a certificate back', async () => {
    await installIn(dir, root, crlOf(root, { number: 7, revoked }));
    using trust = open();
    const stays = (): boolean => trust.anchors()[0]?.crl?.revoked.has(alice.cert.serial) ?? false;
    await installIn(dir, root, crlOf(root, { number: 6 }));
    trust.reload();
    expect(stays()).toBe(true);
    await installIn(dir, root, crlOf(makeAuthority('/DC=org/DC=test/CN=Root'), { number: 9 }));
    trust.reload();
    expect(stays()).toBe(true);
    for (const name of readdirSync(dir).filter((file) => file.endsWith('.r0'))) {
      unlinkSync(join(dir, name));
    }
    trust.reload();
    expect(stays()).toBe(true);
    await installIn(dir, root, crlOf(root, { number: 8 }));
    trust.reload();
    expect(stays()).toBe(false);
  });

  test('is also that a revocation list has run out', async () => {
    await installIn(dir, root, crlOf(root, { nextUpdateMs: NOON_MS + DAY_MS }));
    using trust = open();
    let told = 0;
    trust.onChange(() => {
      told += 1;
    });
    nowMs = NOON_MS + DAY_MS + 59_000;
    trust.reload();
    expect(told).toBe(0);
    nowMs = NOON_MS + DAY_MS + 61_000;
    trust.reload();
    trust.reload();
    expect(told).toBe(1);
  });
});

test.for([
  // From `openssl x509 -hash -subject_hash_old` of certificates with these names.
  ['/DC=org/DC=test/CN=Root', '76719fe1', '9a1dc73f'],
  ['/DC=org/DC=test/O=Ünï  Böx /CN=Test  CA', 'cad3cbd1', '18abfb53'],
])('the files of %s are called as OpenSSL calls them', ([name = '', hash, old]) => {
  const der = nameFromDn(name) ?? new Uint8Array();
  expect(subjectHash(der)).toBe(hash);
  expect(oldSubjectHash(der)).toBe(old);
});
