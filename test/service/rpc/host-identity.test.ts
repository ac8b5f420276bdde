import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { readHostIdentity, readSettingFile } from '../../../service/rpc/host-identity.ts';
import { writeTlsIdentity } from '../../fakes/tls-identity.ts';

let dir: string;
let certificate: string;
let key: string;
let otherKey: string;
beforeAll(async () => {
  dir = mkdtempSync(join(tmpdir(), 'hanse-identity-'));
  otherKey = join(dir, 'other.pem');
  const other = await writeTlsIdentity(dir);
  writeFileSync(otherKey, readSettingFile('key', other.keyFile));
  ({ certFile: certificate, keyFile: key } = await writeTlsIdentity(dir));
});
afterAll(() => rmSync(dir, { recursive: true }));

const refused = (files: { certificate: string; key: string }): unknown => {
  try {
    return readHostIdentity(files);
  } catch (error) {
    return error;
  }
};

test('a certificate and its own key are read', () => {
  expect(readHostIdentity({ certificate, key })).toEqual({
    certPem: readSettingFile('certificate', certificate),
    keyPem: readSettingFile('key', key),
  });
});

test('what is wrong with the files of a host is said by setting and file', () => {
  const absent = join(dir, 'absent.pem');
  for (const [files, where, message] of [
    [{ certificate: absent, key }, absent, 'certificate: it is not there (any more)'],
    [{ certificate: key, key }, key, 'certificate: there is no certificate in it, PEM'],
    [
      { certificate, key: certificate },
      certificate,
      'key: there is no private key in it, PEM and without a passphrase',
    ],
    [{ certificate, key: otherKey }, otherKey, `key: it is not the key of ${certificate}`],
  ] as const)
    expect(refused(files)).toMatchObject({
      code: 'CONFIG_INVALID',
      problems: [{ where, message }],
    });
});
