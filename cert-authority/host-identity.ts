import { readFileSync } from 'node:fs';
import { parseIp } from '../core/pki/ip.ts';
import { type KeyKind, makeSigningRequest } from '../service/pki/csr.ts';
import { toPem } from '../service/pki/pem.ts';
import { certificatesFromPem } from '../service/pki/x509.ts';
import { writeAtomic } from '../service/write-atomic.ts';
import { type Issuing, issue } from './issue.ts';

/** Where the certificate that the authority serves with is kept. */
interface HostFiles {
  readonly certificate: string;
  readonly key: string;
}

/** Nobody renews the authority's own certificate but the authority. */
const RENEW_BEFORE_MS = 30 * 86_400_000;

/** Makes the certificate that the authority serves with; its chain has the authority in it: newcomers pin that. */
export async function makeHostIdentity(
  around: Issuing,
  files: HostFiles,
  hostNames: readonly string[],
  keyKind: KeyKind,
): Promise<void> {
  const [commonName = 'localhost', ...altNames] = hostNames.toSorted(dnsFirst);
  const { keyPem, csr } = await makeSigningRequest(keyKind, commonName);
  const wanted = { profile: 'host', commonName, altNames } as const;
  const certificate = await issue(around, { wanted, csr, lifetimeMs: 0, actor: 'authority' });
  const chain = toPem('CERTIFICATE', certificate.der) + around.keys.certificatePem;
  await writeAtomic(files.key, keyPem, 0o600);
  await writeAtomic(files.certificate, chain, 0o644);
}

/** The DN has the first name, which cannot be an address. */
const dnsFirst = (one: string, other: string): number =>
  Number(parseIp(one) !== undefined) - Number(parseIp(other) !== undefined);

/**
 * Makes it anew, for the same names, when it is about to end, and tells whether it did; leaves alone what another
 * authority has issued.
 */
export async function renewHostIdentity(around: Issuing, files: HostFiles): Promise<boolean> {
  const [own] = certificatesFromPem(readFileSync(files.certificate, 'utf8'));
  const authority = around.keys.certificate;
  if (own === undefined || own.issuerKey !== authority.subjectKey) return false;
  const endMs = Math.min(around.clock.nowMs() + RENEW_BEFORE_MS, authority.notAfterMs - 1_000);
  if (own.notAfterMs > endMs) return false;
  const kind = own.keyKind.startsWith('rsa') ? 'rsa' : 'ec';
  await makeHostIdentity(around, files, [...own.dnsNames, ...own.ipAddresses], kind);
  return true;
}
