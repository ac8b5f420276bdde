import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { loadCredential, loadUserCertificate } from '../../../service/pki/credential.ts';
import {
  type Entity,
  HOUR_MS,
  keyPemOf,
  makeAuthority,
  makeTestProxy,
  makeUser,
  NOON_MS,
  pemOf,
} from '../../fakes/test-ca.ts';

const root = makeAuthority('/DC=org/DC=test/CN=Root');
const alice = makeUser(root, '/DC=org/DC=test/CN=Alice');
const bob = makeUser(root, '/DC=org/DC=test/CN=Bob');
const proxy = makeTestProxy(alice);

let home: string;
beforeEach(() => {
  home = mkdtempSync(join(tmpdir(), 'hanse-home-'));
});
afterEach(() => rmSync(home, { recursive: true }));

const keep = (name: string, text: string, mode = 0o600): string => {
  const file = join(home, name);
  writeFileSync(file, text, { mode });
  return file;
};
const keepProxy = (name: string, leaf: Entity, above: Entity): string =>
  keep(name, pemOf(leaf) + keyPemOf(leaf) + pemOf(above, root));
const keepCertificate = (prefix: string, user: Entity): Record<string, string> => ({
  X509_USER_CERT: keep(`${prefix}cert.pem`, pemOf(user), 0o644),
  X509_USER_KEY: keep(`${prefix}key.pem`, keyPemOf(user), 0o400),
});
const load = (env: Record<string, string> = {}, nowMs = NOON_MS) =>
  loadCredential({ home, env, nowMs });

describe('the credential of a user', () => {
  test('is found in the order of the Globus variables and our own files', () => {
    keepCertificate('user', alice);
    expect(load()).toMatchObject({ dn: alice.cert.subject, proxyDepth: 0 });
    const named = keepCertificate('other', bob);
    expect(load(named)).toMatchObject({ dn: bob.cert.subject });
    const ownProxy = keepProxy('proxy.pem', proxy, alice);
    expect(load(named)).toMatchObject({ dn: alice.cert.subject, certFile: ownProxy });
    const globus = keepProxy('x509up', makeTestProxy(bob), bob);
    expect(load({ ...named, X509_USER_PROXY: globus })).toMatchObject({
      dn: bob.cert.subject,
      proxyDepth: 1,
      certFile: globus,
    });
  });

  test('is shown without the root and ends with its first certificate', () => {
    keepProxy('proxy.pem', proxy, alice);
    expect(load()).toMatchObject({
      certPem: pemOf(proxy, alice),
      keyPem: keyPemOf(proxy),
      expiresAtMs: NOON_MS + 12 * HOUR_MS,
    });
  });

  test('for a login is never a proxy', () => {
    keepProxy('proxy.pem', proxy, alice);
    keepCertificate('user', bob);
    expect(loadUserCertificate({ home, env: {} })).toMatchObject({ dn: bob.cert.subject });
  });
});

describe('a credential that will not do is refused, naming the file', () => {
  test('there is none', () => {
    expect(() => load()).toThrow(expect.objectContaining({ code: 'CREDENTIAL_MISSING' }));
    expect(() => load()).toThrow('usercert.pem does not exist');
  });

  test('there is no key', () => {
    keep('usercert.pem', pemOf(alice));
    expect(() => load()).toThrow('userkey.pem does not exist');
  });

  test('a proxy that is named is not there', () => {
    keepCertificate('user', alice);
    expect(() => load({ X509_USER_PROXY: join(home, 'gone') })).toThrow('gone does not exist');
  });

  test.for([0o640, 0o604, 0o660])('the key has mode %o', (mode) => {
    const file = keepProxy('proxy.pem', proxy, alice);
    chmodSync(file, mode);
    expect(() => load()).toThrow(expect.objectContaining({ code: 'KEY_EXPOSED' }));
    expect(() => load()).toThrow(/may be read by others .*chmod 600/);
  });

  test('it has ended', () => {
    keepProxy('proxy.pem', proxy, alice);
    keepCertificate('user', alice);
    const later = () => load({}, NOON_MS + 13 * HOUR_MS);
    expect(later).toThrow(expect.objectContaining({ code: 'UNAUTHENTICATED' }));
    expect(later).toThrow(/^EXPIRED: .*grid login/);
  });

  test.for([
    ['nothing', ''],
    ['an authority alone', pemOf(proxy)],
    ['no key', pemOf(alice)],
    ['a cut certificate', pemOf(alice).replace(/\n.{20}/, '\n')],
  ])('it holds %s', ([, text]) => {
    keep('proxy.pem', text ?? '');
    expect(() => load()).toThrow(expect.objectContaining({ code: 'CERT_INVALID' }));
  });
});
