import { describe, expect, test } from 'vitest';
import {
  basicConstraints,
  extension,
  keyUsage,
  subjectAltName,
} from '../../../service/pki/certificate-writer.ts';
import { octetString } from '../../../service/pki/der.ts';
import { OID } from '../../../service/pki/oids.ts';
import { certificatesFromPem, readCertificate, signedBy } from '../../../service/pki/x509.ts';
import { forge, makeAuthority, makeUser, newKey, pemOf } from '../../fakes/test-ca.ts';

const root = makeAuthority('/DC=org/DC=test/CN=Root', { pathLength: 2 });

describe('the facts of a certificate', () => {
  test('of an authority', () => {
    expect(root.cert).toMatchObject({
      version: 3,
      subject: '/DC=org/DC=test/CN=Root',
      issuer: '/DC=org/DC=test/CN=Root',
      isCa: true,
      caPathLength: 2,
      keyUsage: ['keyCertSign', 'cRLSign'],
      signatureAlgorithm: 'sha256-ecdsa',
      signatureAlgorithmOk: true,
      criticalExtensions: [OID.basicConstraints, OID.keyUsage],
    });
  });

  test('with names of hosts', () => {
    const names = ['grid.test', '*.grid.test', '10.1.2.3', '::1', 'fe80::1:2'];
    const host = forge({ subject: '/CN=host', extensions: [subjectAltName(names)] });
    expect(host.cert).toMatchObject({
      dnsNames: ['grid.test', '*.grid.test'],
      ipAddresses: ['10.1.2.3', '::1', 'fe80::1:2'],
      hasAltName: true,
    });
  });

  test.for([
    ['prime256v1', 'ec-prime256v1', false],
    ['secp256k1', 'ec-secp256k1', true],
    ['ed25519', 'ed25519', false],
    ['rsa-1024', 'rsa-1024', true],
    ['rsa-2048', 'rsa-2048', false],
  ] as const)('with a key of %s', ([kind, keyKind, keyWeak]) => {
    const user = makeUser(root, '/CN=u', { key: newKey(kind) });
    expect(user.cert).toMatchObject({ keyKind, keyWeak });
  });

  test('of all of a PEM text come in order', () => {
    const user = makeUser(root, '/CN=u');
    const text = `Bag attributes\n${pemOf(user)}\r\n${pemOf(root)}`;
    expect(certificatesFromPem(text).map(({ subject }) => subject)).toEqual([
      '/CN=u',
      '/DC=org/DC=test/CN=Root',
    ]);
  });
});

test('a signature is by the key, whatever the names say', () => {
  const user = makeUser(root, '/CN=u');
  const impostor = makeAuthority('/DC=org/DC=test/CN=Root');
  expect(signedBy(user.cert, root.cert)).toBe(true);
  expect(signedBy(user.cert, impostor.cert)).toBe(false);
});

describe('a certificate that could be read in two ways is refused', () => {
  test('an extension twice', () => {
    const twice = [basicConstraints(false), basicConstraints(true)];
    expect(() => forge({ subject: '/CN=u', extensions: twice })).toThrow('twice');
  });

  test('an extension that is not what it should be', () => {
    const odd = extension(OID.basicConstraints, true, octetString([1]));
    expect(() => forge({ subject: '/CN=u', extensions: [odd] })).toThrow('no certificate');
  });

  test('bytes behind it, or missing', () => {
    const { der } = forge({ subject: '/CN=u', extensions: [keyUsage('digitalSignature')] });
    expect(() => readCertificate(Buffer.concat([der, Buffer.from([0])]))).toThrow('bytes after');
    expect(() => readCertificate(der.subarray(0, -1))).toThrow('ends within');
  });
});
