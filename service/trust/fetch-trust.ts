import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { isIP } from 'node:net';
import { join } from 'node:path';
import { connect, type TLSSocket } from 'node:tls';
import { GridError } from '../../core/errors.ts';
import { isVoName } from '../../core/ids.ts';
import type { CertInfo } from '../../core/pki/cert.ts';
import { CertAuthorityService, type VoTrust } from '../../proto/gen/grid/v1/authority.ts';
import { ensureDirectory } from '../directories.ts';
import { crlDerOf, readCrl } from '../pki/crl.ts';
import { toPem } from '../pki/pem.ts';
import { certificatesFromPem } from '../pki/x509.ts';
import { openClient } from '../rpc/grpc-client.ts';
import { writeAtomic } from '../write-atomic.ts';
import { type TrustFiles, trustFileBase, writeTrust } from './trust-dir.ts';

/** What an authority says of itself, checked against its certificate that was trusted before. */
export interface FetchedTrust extends TrustFiles {
  readonly certificate: CertInfo;
  readonly vos: readonly VoTrust[];
  /** How much the authority's clock is ahead of ours, give or take the time that the call took. */
  readonly aheadMs: number;
  readonly tookMs: number;
}

const HANDSHAKE_MS = 10_000;

/**
 * Fetches an authority's trust files over a connection that trusts `caPem` only, which it must be one of. Its own CRL
 * is not asked for on the way: this is how an expired one is replaced. Throws CERT_INVALID for what it did not sign.
 */
export async function fetchTrust(
  address: string,
  caPem: string,
  signal: AbortSignal,
): Promise<FetchedTrust> {
  using client = openClient(CertAuthorityService, 'authority', address, { caPem });
  const before = Date.now();
  const { vos, nowMs, ...files } = await client.call.getTrust(
    {},
    { signal, deadlineMs: HANDSHAKE_MS },
  );
  const tookMs = Date.now() - before;
  const [certificate] = certificatesFromPem(files.certificatePem);
  const known = certificatesFromPem(caPem);
  if (certificate === undefined || !known.some((one) => sameBytes(one.der, certificate.der))) {
    throw new GridError('CERT_INVALID', `${address} speaks for an authority that is not trusted`);
  }
  if (!readCrl(crlDerOf(Buffer.from(files.crlPem)), certificate).signatureOk) {
    throw new GridError('CERT_INVALID', `${address} sent a revocation list that it did not sign`);
  }
  return { ...files, vos, certificate, tookMs, aheadMs: nowMs - before - tookMs / 2 };
}

/** Writes what was fetched; an older revocation list than the one that is there is refused (CERT_INVALID). */
export async function installTrust(
  trusted: FetchedTrust,
  to: { readonly dir: string; readonly vomsDir?: string | undefined },
): Promise<void> {
  ensureDirectory(to.dir);
  const number = crlNumber(trusted, Buffer.from(trusted.crlPem));
  const present = readIfThere(`${trustFileBase(to.dir, trusted.certificate)}.r0`);
  if (present !== undefined && crlNumber(trusted, present) > number) {
    throw new GridError(
      'CERT_INVALID',
      `the revocation list ${number} is older than the one in ${to.dir}`,
    );
  }
  await writeTrust(to.dir, trusted);
  if (to.vomsDir === undefined) return;
  for (const { vo, host, lsc } of trusted.vos) {
    if (!isVoName(vo) || !/^[A-Za-z0-9.:-]+$/.test(host)) continue;
    ensureDirectory(join(to.vomsDir, vo));
    await writeAtomic(join(to.vomsDir, vo, `${host}.lsc`), lsc, 0o644);
  }
}

const crlNumber = (trusted: FetchedTrust, crl: Uint8Array): bigint =>
  readCrl(crlDerOf(crl), trusted.certificate).crlNumber ?? 0n;

/**
 * The certificate of the authority at `address`, PEM, taken from its TLS chain: the first meeting, where nothing but its
 * fingerprint (SHA-256, base64url) is known. Throws TRUST_MISSING when another one answers.
 */
export async function meetAuthority(
  address: string,
  fingerprint: string,
  signal: AbortSignal,
): Promise<string> {
  const root = await presentedRoot(address, signal);
  const found = createHash('sha256').update(root).digest('base64url');
  if (found !== fingerprint) {
    throw new GridError(
      'TRUST_MISSING',
      `the authority at ${address} has the fingerprint ${colons(found)}, not ${colons(fingerprint)}`,
    );
  }
  return toPem('CERTIFICATE', root);
}

/** The last certificate that a server presents; nothing about it has been checked. */
function presentedRoot(address: string, signal: AbortSignal): Promise<Uint8Array> {
  const [, host = '', port = ''] = /^\[?(.*?)\]?:(\d+)$/.exec(address) ?? [];
  return new Promise((resolve, reject) => {
    const fail = (error: unknown): void => {
      signal.removeEventListener('abort', fail);
      socket.destroy();
      reject(new GridError('UNAVAILABLE', `no answer from ${address}`, { cause: error }));
    };
    const socket = connect(
      {
        host,
        port: Number(port),
        ...(isIP(host) === 0 ? { servername: host } : {}),
        ALPNProtocols: ['h2'],
        minVersion: 'TLSv1.3',
        // Nothing is sent over this connection; it serves to see the chain, which is then compared.
        rejectUnauthorized: false,
      },
      () => {
        const root = lastOf(socket);
        signal.removeEventListener('abort', fail);
        socket.destroy();
        if (root === undefined) fail(new Error('no certificate'));
        else resolve(root);
      },
    );
    socket.setTimeout(HANDSHAKE_MS, () => fail(new Error('timeout')));
    socket.once('error', fail);
    signal.addEventListener('abort', fail, { once: true });
  });
}

function lastOf(socket: TLSSocket): Uint8Array | undefined {
  let certificate = socket.getPeerCertificate(true);
  while (
    certificate.issuerCertificate !== undefined &&
    certificate.issuerCertificate.fingerprint256 !== certificate.fingerprint256
  ) {
    certificate = certificate.issuerCertificate;
  }
  return certificate.raw;
}

/** SHA-256 as people and tokens write it (hex with or without colons, base64url) -> base64url; throws USAGE. */
export function parseFingerprint(text: string): string {
  const hex = text.replaceAll(':', '');
  if (/^[0-9A-Fa-f]{64}$/.test(hex)) return Buffer.from(hex, 'hex').toString('base64url');
  if (/^[A-Za-z0-9_-]{43}$/.test(text)) return text;
  throw new GridError('USAGE', `'${text}' is no SHA-256 fingerprint`);
}

/** A base64url fingerprint as `openssl x509 -fingerprint -sha256` prints it. */
export const colons = (fingerprint: string): string =>
  (Buffer.from(fingerprint, 'base64url').toString('hex').toUpperCase().match(/../g) ?? []).join(
    ':',
  );

const sameBytes = (one: Uint8Array, other: Uint8Array): boolean => Buffer.compare(one, other) === 0;

function readIfThere(file: string): Buffer | undefined {
  try {
    return readFileSync(file);
  } catch {
    return undefined;
  }
}
