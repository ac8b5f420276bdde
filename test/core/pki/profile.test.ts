import { describe, expect, test } from 'vitest';
import type { CertInfo } from '../../../core/pki/cert.ts';
import { parseName } from '../../../core/pki/name.ts';
import { planCertificate, subjectOf, templateDifferences } from '../../../core/pki/profile.ts';

const DAY_MS = 86_400_000;
const NOW_MS = Date.UTC(2026, 5, 1, 12);
const BASE = parseName('/DC=org/DC=example');
const KEY = { keyKind: 'ec-prime256v1', keyWeak: false, keySha256: 'ab' } as const;
const ADA = { profile: 'user', commonName: 'Ada Lovelace', altNames: [] } as const;
const GATEWAY = {
  profile: 'host',
  commonName: 'gw.example.org',
  altNames: ['gw', '192.0.2.7'],
} as const;
const request = {
  wanted: ADA,
  base: BASE,
  key: KEY,
  lifetimeMs: 0,
  issuer: { notBeforeMs: NOW_MS - 365 * DAY_MS, notAfterMs: NOW_MS + 3_650 * DAY_MS },
  nowMs: NOW_MS,
};

describe('names', () => {
  test.for([
    [ADA, '/DC=org/DC=example/OU=People/CN=Ada Lovelace'],
    [GATEWAY, '/DC=org/DC=example/OU=Hosts/CN=gw.example.org'],
    [
      { profile: 'robot', commonName: 'nightly build', altNames: [] },
      '/DC=org/DC=example/OU=Robots/CN=Robot: nightly build',
    ],
  ] as const)('%j is %s', ([wanted, dn]) => {
    expect(planCertificate({ ...request, wanted }).dn).toBe(dn);
  });

  test.for([
    ['user', 'Mallory/CN=Ada Lovelace', [], 'is no name'],
    ['user', 'Ada\u0000', [], 'is no name'],
    ['user', 'Robot: nightly', [], 'is written for robots'],
    ['user', 'Ada', ['ada.example.org'], 'only hosts'],
    ['host', 'GW.example.org', [], 'no DNS name in lower case'],
    ['host', '*.example.org', [], 'is no name'],
    ['host', 'gw.example.org', ['*.example.org'], 'no DNS name'],
    ['host', 'gw..example.org', [], 'no DNS name'],
    ['host', '192.0.2.7', [], 'no DNS name'],
    ['host', 'gw.example.org', ['300.1.1.1'], 'no DNS name'],
    ['host', 'gw', Array.from({ length: 51 }, (_, n) => `h${n}`), 'more than 50'],
  ] as const)('%s %j with %j is refused: %s', ([profile, commonName, altNames, why]) => {
    expect(() => subjectOf(BASE, { profile, commonName, altNames })).toThrow(why);
  });
});

describe('life', () => {
  test('a certificate begins five minutes ago and lasts a year', () => {
    const { notBeforeMs, notAfterMs } = planCertificate(request);
    expect(notBeforeMs).toBe(NOW_MS - 300_000);
    expect(notAfterMs).toBe(NOW_MS + 365 * DAY_MS);
  });

  test('more than thirteen months are cut', () => {
    const { notAfterMs } = planCertificate({ ...request, lifetimeMs: 10_000 * DAY_MS });
    expect(notAfterMs).toBe(NOW_MS + 400 * DAY_MS);
  });

  test('it neither begins before nor ends after the authority', () => {
    const issuer = { notBeforeMs: NOW_MS - 1_500, notAfterMs: NOW_MS + 1_500 };
    const { notBeforeMs, notAfterMs } = planCertificate({ ...request, issuer });
    expect([notBeforeMs, notAfterMs]).toEqual([NOW_MS - 2_000, NOW_MS + 1_000]);
  });

  test('an authority that has ended issues nothing', () => {
    const issuer = { notBeforeMs: 0, notAfterMs: NOW_MS - 3_600_000 };
    expect(() => planCertificate({ ...request, issuer })).toThrow('ended 1h 00m ago');
  });
});

describe('usage', () => {
  test.for([
    ['user', ADA, ['1.3.6.1.5.5.7.3.2'], []],
    ['host', GATEWAY, ['1.3.6.1.5.5.7.3.1', '1.3.6.1.5.5.7.3.2'], ['gw.example.org', 'gw']],
  ] as const)('a %s is for what its profile says', ([, wanted, usages, dnsNames]) => {
    const template = planCertificate({ ...request, wanted });
    expect(template.extendedKeyUsage).toEqual(usages);
    expect(template.dnsNames).toEqual(dnsNames);
  });

  test('only RSA keys may encipher keys', () => {
    const rsa = { ...KEY, keyKind: 'rsa-2048' };
    expect(planCertificate({ ...request, key: rsa }).keyUsage).toContain('keyEncipherment');
    expect(planCertificate(request).keyUsage).toEqual(['digitalSignature']);
  });

  test('a weak key is refused with its kind', () => {
    const key = { ...KEY, keyKind: 'rsa-1024', keyWeak: true };
    expect(() => planCertificate({ ...request, key })).toThrow('a rsa-1024 key is too weak');
  });
});

describe('what was signed', () => {
  const template = planCertificate({ ...request, wanted: GATEWAY });
  const issuer: CertInfo = { ...blank(), subjectKey: 'ca', notAfterMs: NOW_MS + 3_650 * DAY_MS };
  const signed: CertInfo = {
    ...blank(),
    subject: template.dn,
    issuerKey: 'ca',
    notBeforeMs: template.notBeforeMs,
    notAfterMs: template.notAfterMs,
    keySha256: template.keySha256,
    keyUsage: template.keyUsage,
    extendedKeyUsage: template.extendedKeyUsage,
    dnsNames: template.dnsNames,
    ipAddresses: template.ipAddresses,
  };

  test('the template itself differs in nothing', () => {
    expect(templateDifferences(template, signed, issuer)).toEqual([]);
  });

  test.for<[keyof CertInfo, unknown, string]>([
    ['version', 1, 'version'],
    ['subject', '/CN=Mallory', 'subject'],
    ['issuerKey', 'other', 'issuer'],
    ['notBeforeMs', 0, 'start'],
    ['notAfterMs', template.notAfterMs + 1_000, 'end'],
    ['keySha256', 'cd', 'key'],
    ['isCa', true, 'basic constraints'],
    ['keyUsage', ['keyCertSign'], 'key usage'],
    ['extendedKeyUsage', [], 'extended key usage'],
    ['dnsNames', ['evil.example.org'], 'DNS names'],
    ['ipAddresses', [], 'IP addresses'],
    ['signatureAlgorithmOk', false, 'signature algorithm'],
  ])('another %s is noticed', ([field, value, what]) => {
    expect(templateDifferences(template, { ...signed, [field]: value }, issuer)).toEqual([what]);
  });
});

function blank(): CertInfo {
  return {
    der: new Uint8Array(),
    version: 3,
    serial: '01',
    subject: planCertificate(request).dn,
    issuer: planCertificate(request).dn,
    subjectKey: '',
    issuerKey: '',
    subjectRdns: [],
    notBeforeMs: 0,
    notAfterMs: 0,
    signatureAlgorithm: 'sha256-ecdsa',
    signatureAlgorithmOk: true,
    keyKind: 'ec-prime256v1',
    keyWeak: false,
    keySha256: '',
    isCa: false,
    dnsNames: [],
    ipAddresses: [],
    hasAltName: false,
    criticalExtensions: [],
    extensions: [],
  };
}
