import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { dn } from '../../../core/ids.ts';
import { nameFromDn } from '../../../service/pki/name.ts';
import { parseSigningPolicy } from '../../../service/pki/signing-policy.ts';
import { formatSigningPolicy, subjectHash, writeTrust } from '../../../service/trust/trust-dir.ts';
import { authorityKeys } from '../../fakes/authority-keys.ts';

const NAME = '/DC=org/DC=example/CN=Example Grid CA';

let dir: string;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'trust-'));
});
afterEach(() => rmSync(dir, { recursive: true }));

// Said by `openssl x509 -noout -hash` of OpenSSL 3.0.
test.for([
  [NAME, '5c278efe'],
  ['/DC=ORG/DC=example/CN=Example   Grid CA', '5c278efe'],
] as const)('the hash of %s is the one that OpenSSL says', ([name, hash]) => {
  expect(subjectHash(nameFromDn(name) ?? new Uint8Array())).toBe(hash);
});

test('certificate, policy and list stand under the hash of the name', async () => {
  const keys = await authorityKeys(NAME, Date.now());
  const files = {
    certificatePem: keys.certificatePem,
    crlPem: 'list\n',
    signingPolicy: 'policy\n',
  };
  await writeTrust(join(dir, 'new'), files);
  expect(readdirSync(join(dir, 'new'))).toEqual(
    expect.arrayContaining(['5c278efe.0', '5c278efe.r0', '5c278efe.signing_policy']),
  );
  await writeTrust(join(dir, 'new'), { ...files, crlPem: 'newer list\n' });
  expect(readFileSync(join(dir, 'new', '5c278efe.r0'), 'utf8')).toBe('newer list\n');
});

test('another authority of the same name does not take its place', async () => {
  const [first, second] = await Promise.all([
    authorityKeys(NAME, Date.now()),
    authorityKeys(NAME, Date.now()),
  ]);
  const rest = { crlPem: 'list\n', signingPolicy: 'policy\n' };
  await writeTrust(dir, { certificatePem: first.certificatePem, ...rest });
  await expect(
    writeTrust(dir, { certificatePem: second.certificatePem, ...rest }),
  ).rejects.toMatchObject({ code: 'CERT_INVALID' });
  expect(readFileSync(join(dir, '5c278efe.0'), 'utf8')).toBe(first.certificatePem);
});

test('a signing policy reads back as its patterns', () => {
  const patterns = ['/DC=org/DC=example/*'];
  expect(parseSigningPolicy(formatSigningPolicy(dn(NAME), patterns), dn(NAME))).toEqual(patterns);
});
