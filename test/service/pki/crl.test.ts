import { describe, expect, test } from 'vitest';
import { crlDerOf, readCrl } from '../../../service/pki/crl.ts';
import { toPem } from '../../../service/pki/pem.ts';
import { crlOf, DAY_MS, HOUR_MS, makeAuthority, NOON_MS, newKey } from '../../fakes/test-ca.ts';

const root = makeAuthority('/DC=org/DC=test/CN=Root');

describe('a revocation list of our making', () => {
  test('is read back with its number, dates and entries', () => {
    const revoked = [
      { serial: '01', revokedAtMs: NOON_MS - HOUR_MS },
      { serial: '00ff', revokedAtMs: NOON_MS, reason: 'keyCompromise' },
    ] as const;
    const crl = readCrl(crlOf(root, { number: 2n ** 70n, revoked }), root.cert);
    expect(crl).toEqual({
      issuerKey: root.cert.subjectKey,
      thisUpdateMs: NOON_MS - HOUR_MS,
      nextUpdateMs: NOON_MS + DAY_MS,
      crlNumber: 2n ** 70n,
      criticalExtensions: [],
      signatureOk: true,
      revoked: new Map([
        ['01', NOON_MS - HOUR_MS],
        ['00ff', NOON_MS],
      ]),
    });
  });

  test.for(['rsa-2048', 'secp384r1', 'secp521r1', 'ed25519'])(
    'verifies with a key of %s',
    (kind) => {
      const authority = makeAuthority('/DC=org/DC=test/CN=Other', {
        key: newKey(kind),
        ...hashOf(kind),
      });
      expect(readCrl(crlOf(authority), authority.cert)).toMatchObject({ signatureOk: true });
    },
  );

  test('of another key does not verify', () => {
    const other = makeAuthority('/DC=org/DC=test/CN=Root');
    expect(readCrl(crlOf(other), root.cert)).toMatchObject({ signatureOk: false });
  });

  test('comes as PEM or DER', () => {
    const der = crlOf(root);
    expect(crlDerOf(Buffer.from(toPem('X509 CRL', der)))).toEqual(Buffer.from(der));
    expect(crlDerOf(der)).toEqual(der);
  });

  test('of ten thousand entries is made and read in well under a second', () => {
    const revoked = Array.from({ length: 10_000 }, (_, at) => ({
      serial: (0x100000 + at).toString(16),
      revokedAtMs: NOON_MS,
    }));
    const before = process.cpuUsage();
    expect(readCrl(crlOf(root, { revoked }), root.cert).revoked.size).toBe(10_000);
    expect(process.cpuUsage(before).user).toBeLessThan(2_000_000);
  });

  test('that is cut short is refused', () => {
    expect(() => readCrl(crlOf(root).subarray(0, 100), root.cert)).toThrow('no revocation list');
  });
});

/** The digest that goes with a key, for forge(). */
const hashOf = (kind: string): { readonly hash?: string } =>
  new Map([
    ['secp384r1', { hash: 'sha384' }],
    ['secp521r1', { hash: 'sha512' }],
  ]).get(kind) ?? {};
