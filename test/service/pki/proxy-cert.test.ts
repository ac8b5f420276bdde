import { createPrivateKey } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { PATH_DEFAULTS } from '../../../core/pki/options.ts';
import { validatePath } from '../../../core/pki/path.ts';
import { makeProxy, type ProxyRequest, signProxy } from '../../../service/pki/proxy-cert.ts';
import { certificatesFromPem, readCertificate, signedBy } from '../../../service/pki/x509.ts';
import {
  anchorOf,
  HOUR_MS,
  keyPemOf,
  makeAuthority,
  makeTestProxy,
  makeUser,
  NOON_MS,
  newKey,
  pemOf,
  spki,
} from '../../fakes/test-ca.ts';

const root = makeAuthority('/DC=org/DC=test/CN=Root');
const alice = makeUser(root, '/DC=org/DC=test/CN=Alice', { notAfterMs: NOON_MS + 24 * HOUR_MS });
const request: ProxyRequest = {
  certPem: pemOf(alice, root),
  keyPem: keyPemOf(alice),
  lifetimeMs: 12 * HOUR_MS,
  nowMs: NOON_MS,
  kind: 'full',
  keyKind: 'ec',
};
const judge = (pem: string, nowMs = NOON_MS) =>
  validatePath(
    certificatesFromPem(pem),
    { anchors: [anchorOf(root)], signedBy },
    { ...PATH_DEFAULTS, nowMs },
  );

describe('a proxy of our making', () => {
  test('is accepted, belongs to its owner, and ends when it was told to', async () => {
    const proxy = await makeProxy(request);
    expect(proxy.expiresAtMs).toBe(NOON_MS + 12 * HOUR_MS);
    expect(judge(proxy.chainPem)).toMatchObject({
      dn: '/DC=org/DC=test/CN=Alice',
      limited: false,
      expiresAtMs: proxy.expiresAtMs,
    });
  });

  test('is valid at once where clocks are five minutes behind', async () => {
    const { chainPem } = await makeProxy(request);
    expect(judge(chainPem, NOON_MS - 5 * 60_000)).toMatchObject({ kind: 'identity' });
  });

  test('ends at the latest with the certificate above', async () => {
    const proxy = await makeProxy({ ...request, lifetimeMs: 48 * HOUR_MS });
    expect(proxy.expiresAtMs).toBe(NOON_MS + 24 * HOUR_MS);
  });

  test('comes as a file of proxy, key and chain without the root', async () => {
    const { fileText, keyPem } = await makeProxy(request);
    expect(fileText.match(/BEGIN [A-Z ]+/g)).toEqual([
      'BEGIN CERTIFICATE',
      'BEGIN PRIVATE KEY',
      'BEGIN CERTIFICATE',
    ]);
    expect(createPrivateKey(keyPem).asymmetricKeyType).toBe('ec');
  });

  test('can be limited, with a path length, and with an RSA key', async () => {
    const proxy = await makeProxy({ ...request, kind: 'limited', pathLength: 1, keyKind: 'rsa' });
    expect(judge(proxy.chainPem)).toMatchObject({ limited: true, proxiesLeft: 1 });
    expect(certificatesFromPem(proxy.certPem)[0]?.keyKind).toBe('rsa-2048');
  });

  test('can be made from a proxy', async () => {
    const first = await makeProxy(request);
    const second = await makeProxy({ ...request, certPem: first.chainPem, keyPem: first.keyPem });
    expect(judge(second.chainPem)).toMatchObject({ proxies: [{}, {}] });
  });

  test('can be signed for a key that stays where it is', () => {
    const key = newKey();
    const der = signProxy({
      ...request,
      issuer: alice.cert,
      issuerKey: alice.key,
      publicKey: spki(key),
    });
    const proxy = { der, cert: readCertificate(der), key };
    expect(judge(pemOf(proxy, alice))).toMatchObject({ dn: '/DC=org/DC=test/CN=Alice' });
  });
});

describe('no proxy is made', () => {
  const limited = makeTestProxy(alice, { language: '1.3.6.1.4.1.3536.1.1.1.9' });
  const last = makeTestProxy(alice, { pathLength: 0 });
  const encrypted = alice.key
    .export({ type: 'pkcs8', format: 'pem', cipher: 'aes-256-cbc', passphrase: 'secret' })
    .toString();
  test.for<[string, Partial<ProxyRequest>, string]>([
    ['of a certificate that has ended', { nowMs: NOON_MS + 25 * HOUR_MS }, 'EXPIRED'],
    ['with the key of somebody else', { keyPem: keyPemOf(root) }, 'is not the one of'],
    ['without a certificate', { certPem: '' }, 'no certificate'],
    ['with a damaged key', { keyPem: 'x' }, 'it is damaged'],
    ['with a locked key', { keyPem: encrypted }, 'it needs its pass phrase'],
    ['with a wrong pass phrase', { keyPem: encrypted, passphrase: 'x' }, 'pass phrase is wrong'],
    [
      'in full from a limited one',
      { certPem: pemOf(limited, alice), keyPem: keyPemOf(limited) },
      'PROXY_LIMITED',
    ],
    [
      'where the path length is used up',
      { certPem: pemOf(last, alice), keyPem: keyPemOf(last) },
      'PROXY_PATHLEN',
    ],
  ])('%s', async ([, more, why]) => {
    await expect(makeProxy({ ...request, ...more })).rejects.toThrow(why);
  });

  test('but one is with the right pass phrase', async () => {
    const proxy = await makeProxy({ ...request, keyPem: encrypted, passphrase: 'secret' });
    expect(judge(proxy.chainPem)).toMatchObject({ kind: 'identity' });
  });
});
