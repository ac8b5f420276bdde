import { readFileSync } from 'node:fs';
import type { CertInfo } from '../core/pki/cert.ts';
import { parseIp } from '../core/pki/ip.ts';
import { type KeyKind, makeSigningRequest } from '../service/pki/csr.ts';
import { toPem } from '../service/pki/pem.ts';
import { certificatesFromPem } from '../service/pki/x509.ts';
import { writeAtomic } from '../service/write-atomic.ts';
import { type IssueRequest, type Issuing, issue } from './issue.ts';
import { certificates } from './revoke.ts';

/** Where a certificate and its key are kept. */
export interface PairFiles {
  readonly certificate: string;
  readonly key: string;
}

/** Nobody renews the authority's own certificate but the authority. */
const RENEW_BEFORE_MS = 30 * 86_400_000;

/** Makes the certificate that the authority serves with; its chain has the authority in it: newcomers pin that. */
export async function makeHostIdentity(
  around: Issuing,
  files: PairFiles,
  hostNames: readonly string[],
  keyKind: KeyKind,
): Promise<void> {
  const [commonName = 'localhost', ...altNames] = hostNames.toSorted(dnsFirst);
  const wanted = { profile: 'host', commonName, altNames } as const;
  const above = [around.keys.certificate];
  await makePair(around, files, { wanted, keyKind, above, actor: 'authority' });
}

/** The DN has the first name, which cannot be an address. */
const dnsFirst = (one: string, other: string): number =>
  Number(parseIp(one) !== undefined) - Number(parseIp(other) !== undefined);

/**
 * Makes it anew, for the same names, when it is about to end, and tells whether it did; leaves alone what another
 * authority has issued.
 */
export async function renewHostIdentity(around: Issuing, files: PairFiles): Promise<boolean> {
  const [own] = certificatesFromPem(readFileSync(files.certificate, 'utf8'));
  const authority = around.keys.certificate;
  if (own === undefined || own.issuerKey !== authority.subjectKey) return false;
  const endMs = Math.min(around.clock.nowMs() + RENEW_BEFORE_MS, authority.notAfterMs - 1_000);
  if (own.notAfterMs > endMs) return false;
  await makeHostIdentity(around, files, [...own.dnsNames, ...own.ipAddresses], kindOf(own));
  return true;
}

/**
 * Makes what this authority has issued anew, with a new key and for the same names, and tells whether it did; leaves alone what
 * it has not issued, what was revoked, and what would last no longer.
 */
export async function renewPair(around: Issuing, files: PairFiles): Promise<boolean> {
  const [own, ...above] = certificatesFromPem(readFileSync(files.certificate, 'utf8'));
  const authority = around.keys.certificate;
  if (own === undefined || own.issuerKey !== authority.subjectKey) return false;
  if (authority.notAfterMs - own.notAfterMs <= 1_000) return false;
  const [wanted] = await certificates(around, { serial: own.serial });
  if (wanted === undefined || wanted.revokedAtMs !== undefined) return false;
  const keyKind = kindOf(own);
  await makePair(around, files, { wanted, keyKind, above, actor: 'offline' });
  return true;
}

const kindOf = ({ keyKind }: CertInfo): KeyKind => (keyKind.startsWith('rsa') ? 'rsa' : 'ec');

interface PairWish extends Pick<IssueRequest, 'wanted' | 'actor'> {
  readonly keyKind: KeyKind;
  /** What follows the certificate in its file. */
  readonly above: readonly CertInfo[];
}

async function makePair(
  around: Issuing,
  files: PairFiles,
  { wanted, actor, keyKind, above }: PairWish,
): Promise<void> {
  const { keyPem, csr } = await makeSigningRequest(keyKind, wanted.commonName);
  const certificate = await issue(around, { wanted, csr, lifetimeMs: 0, actor });
  const chain = [certificate, ...above].map(({ der }) => toPem('CERTIFICATE', der)).join('');
  await writeAtomic(files.key, keyPem, 0o600);
  await writeAtomic(files.certificate, chain, 0o644);
}
