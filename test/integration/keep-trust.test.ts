import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { openLog } from '../../service/log.ts';
import { certificatesFromPem } from '../../service/pki/x509.ts';
import { keepTrust } from '../../service/trust/keep-trust.ts';
import { trustFileBase, writeTrust } from '../../service/trust/trust-dir.ts';
import { liveAuthority } from '../fakes/live-authority.ts';

test('a service has the new revocation list by itself, also after the authority was away', async () => {
  await using authority = await liveAuthority();
  const dir = mkdtempSync(join(tmpdir(), 'keep-trust-'));
  onTestFinished(() => rmSync(dir, { recursive: true }));
  const { trustFiles } = authority.made;
  await writeTrust(dir, trustFiles);
  const [certificate] = certificatesFromPem(trustFiles.certificatePem);
  const list = (): string =>
    readFileSync(
      `${trustFileBase(dir, certificate as NonNullable<typeof certificate>)}.r0`,
      'utf8',
    );
  const before = list();
  const log = openLog('site', 'silent');
  using _kept = keepTrust({ authority: authority.address, dir, everyMs: 100, log });

  const alice = await authority.enrol('Alice');
  const [hers] = certificatesFromPem(alice.certPem);
  using ca = authority.ca(alice);
  await authority.restart();
  const wish = { serial: hers?.serial ?? '', reason: 'unspecified' };
  const { crlPem } = await ca.call.revoke(wish);
  expect(crlPem).not.toBe(before);
  await expect.poll(list).toBe(crlPem);
});
