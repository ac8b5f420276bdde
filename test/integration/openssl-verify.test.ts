import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { attributesExtension } from '../../service/pki/attribute-cert.ts';
import type { CrlTemplate } from '../../service/pki/crl.ts';
import { toPem } from '../../service/pki/pem.ts';
import { makeProxy } from '../../service/pki/proxy-cert.ts';
import { certificatesFromPem } from '../../service/pki/x509.ts';
import { judge } from '../core/pki/world.ts';
import {
  anchorOf,
  crlOf,
  type Entity,
  HOUR_MS,
  keyPemOf,
  makeAuthority,
  makeTestProxy,
  makeUser,
  NOON_MS,
  newKey,
  pemOf,
} from '../fakes/test-ca.ts';
import { needs } from '../setup/needs.ts';

let dir: string;
beforeAll(() => {
  needs('openssl', 'openssl');
  dir = mkdtempSync(join(tmpdir(), 'hanse-openssl-'));
});
afterAll(() => rmSync(dir, { recursive: true }));

const keep = (name: string, text: string): string => {
  const file = join(dir, name);
  writeFileSync(file, text);
  return file;
};

/** What `openssl verify` says about a chain, with all CRLs checked, at the instant of the tests. */
function openssl(
  chain: string,
  authorities: readonly Entity[],
  revoked: CrlTemplate['revoked'] = [],
): string {
  const [leaf = '', ...above] = certificatesFromPem(chain).map(({ der }) =>
    toPem('CERTIFICATE', der),
  );
  const crls = authorities
    .map((authority) => toPem('X509 CRL', crlOf(authority, { revoked })))
    .join('');
  const args = ['-allow_proxy_certs', '-purpose', 'sslclient', '-crl_check_all', '-x509_strict'];
  const files = ['-CAfile', keep('ca', pemOf(...authorities)), '-CRLfile', keep('crl', crls)];
  const at = [
    '-attime',
    String(NOON_MS / 1_000),
    '-untrusted',
    keep('above', above.join('') + pemOf(...authorities)),
  ];
  return execFileSync('openssl', ['verify', ...args, ...files, ...at, keep('leaf', leaf)], {
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'pipe'],
  }).trim();
}

const rootOf = (kind: string): Entity =>
  makeAuthority('/DC=org/DC=test/CN=Root', { key: newKey(kind) });

describe('OpenSSL accepts what we accept and make', () => {
  test.for(['prime256v1', 'rsa-2048', 'ed25519'])('with keys of %s', async (kind) => {
    const root = rootOf(kind);
    const alice = makeUser(root, '/DC=org/DC=test/CN=Alice', { key: newKey(kind) });
    const proxy = makeTestProxy(alice);
    const made = await makeProxy({
      certPem: pemOf(alice),
      keyPem: keyPemOf(alice),
      lifetimeMs: HOUR_MS,
      nowMs: NOON_MS,
      kind: 'full',
      keyKind: 'ec',
      attributeCertificates: [],
    });
    for (const chain of [pemOf(alice), pemOf(proxy, alice), made.chainPem]) {
      expect(openssl(chain, [root])).toMatch(/: OK$/);
      const given = certificatesFromPem(chain).map((cert) => ({ ...alice, cert }));
      expect(judge({ chain: given, anchors: [anchorOf(root)] })).toMatchObject({
        kind: 'identity',
      });
    }
  });

  test('below an intermediate authority', () => {
    const root = rootOf('prime256v1');
    const sub = makeAuthority('/DC=org/DC=test/CN=Sub', { pathLength: 0 }, root);
    const bob = makeUser(sub, '/DC=org/DC=test/CN=Bob');
    const chain = [makeTestProxy(bob), bob, sub];
    expect(openssl(pemOf(...chain), [root, sub])).toMatch(/: OK$/);
    expect(judge({ chain, anchors: [anchorOf(root), anchorOf(sub)] })).toMatchObject({
      kind: 'identity',
    });
  });

  test('with attributes in the proxy', () => {
    const root = rootOf('prime256v1');
    const alice = makeUser(root, '/DC=org/DC=test/CN=Alice');
    const chain = [makeTestProxy(alice, { more: [attributesExtension([alice.der])] }), alice];
    expect(openssl(pemOf(...chain), [root])).toMatch(/: OK$/);
    expect(judge({ chain, anchors: [anchorOf(root)] })).toMatchObject({ kind: 'identity' });
  });

  test('but neither of us a revoked one', () => {
    const root = rootOf('prime256v1');
    const alice = makeUser(root, '/DC=org/DC=test/CN=Alice');
    const revoked = [{ serial: alice.cert.serial, revokedAtMs: NOON_MS - HOUR_MS }];
    expect(() => openssl(pemOf(alice), [root], revoked)).toThrow('certificate revoked');
    expect(
      judge({ chain: [alice], anchors: [anchorOf(root, crlOf(root, { revoked }))] }),
    ).toMatchObject({ code: 'REVOKED' });
  });
});
