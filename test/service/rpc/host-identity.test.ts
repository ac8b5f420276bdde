import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import {
  certificateTrouble,
  readHostIdentity,
  readSettingFile,
} from '../../../service/rpc/host-identity.ts';
import { writeTlsIdentity } from '../../fakes/tls-identity.ts';

let dir: string;
let certificate: string;
let key: string;
let otherKey: string;
beforeAll(async () => {
  dir = mkdtempSync(join(tmpdir(), 'hanse-identity-'));
  otherKey = join(dir, 'other.pem');
  const other = await writeTlsIdentity(dir);
  writeFileSync(otherKey, readSettingFile('key', other.keyFile), { mode: 0o600 });
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
  const empty = join(dir, 'empty.pem');
  writeFileSync(empty, '', { mode: 0o600 });
  for (const [files, where, message] of [
    [{ certificate: absent, key }, absent, 'certificate: it is not there (any more)'],
    [
      { certificate: key, key },
      key,
      'certificate: there is a private key in it, and no certificate',
    ],
    [{ certificate: empty, key }, empty, 'certificate: there is no certificate in it, PEM'],
    [
      { certificate, key: certificate },
      certificate,
      'key: there is a certificate in it, and no private key',
    ],
    [
      { certificate, key: empty },
      empty,
      'key: there is no private key in it, PEM and without a passphrase',
    ],
    [{ certificate, key: otherKey }, otherKey, `key: it is not the key of ${certificate}`],
  ] as const)
    expect(refused(files)).toMatchObject({
      code: 'CONFIG_INVALID',
      problems: [{ where, message }],
    });
});

test('a key that others may read or change is refused, one that its group may read is not', () => {
  const inMode = (mode: number): unknown => {
    chmodSync(key, mode);
    return refused({ certificate, key });
  };
  try {
    for (const [mode, octal] of [
      [0o644, '0644'],
      [0o660, '0660'],
    ] as const)
      expect(inMode(mode)).toMatchObject({
        code: 'CONFIG_INVALID',
        problems: [
          {
            where: key,
            message: `key: others may read or change it (mode ${octal}): chmod 600 ${key}`,
          },
        ],
      });
    expect(inMode(0o640)).toMatchObject({ keyPem: readSettingFile('key', key) });
  } finally {
    chmodSync(key, 0o600);
  }
});

test('a host certificate that has ended, ends soon or has yet to begin is told of', () => {
  const pem = readSettingFile('certificate', certificate);
  const DAY_MS = 86_400_000;
  // It is good for a day from now on.
  expect(certificateTrouble(pem, Date.now())).toMatch(
    /^the host certificate ends at .*Z: grid cert renew/,
  );
  expect(certificateTrouble(pem, Date.now() + 2 * DAY_MS)).toMatch(
    /^the host certificate has ended at /,
  );
  expect(certificateTrouble(pem, Date.now() - DAY_MS)).toMatch(
    /is the clock of this machine right\?$/,
  );
  expect(certificateTrouble(pem, Date.now() - 40 * DAY_MS)).toMatch(/is not valid before/);
});
