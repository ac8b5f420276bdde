import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { GridError } from '../../core/errors.ts';

/**
 * Certificates and CRLs of a trust directory (`<hash>.<n>`, `<hash>.r<n>`) as PEM for a client. Throws TRUST_MISSING
 * when there is no authority in it, or no CRL: a revoked service would pass unseen. Validity and signing policies are
 * OpenSSL's and the server's business.
 */
export function readTrust(dir: string): { readonly caPem: string; readonly crlPem: string } {
  const caPem = readAuthorities(dir);
  const lists = listing(dir).filter((name) => /\.r[0-9]$/.test(name));
  if (lists.length === 0)
    throw new GridError('TRUST_MISSING', `trust directory ${dir} holds no revocation list`);
  return { caPem, crlPem: lists.map((name) => pemOf(join(dir, name), 'X509 CRL')).join('') };
}

/** Certificates alone, for what fetches the lists. Throws TRUST_MISSING when there are none. */
export function readAuthorities(dir: string): string {
  const authorities = listing(dir).filter((name) => /\.(?:[0-9]|pem)$/.test(name));
  if (authorities.length === 0)
    throw new GridError('TRUST_MISSING', `trust directory ${dir} holds no authority`);
  return authorities.map((name) => pemOf(join(dir, name), 'CERTIFICATE')).join('');
}

const listing = (dir: string): readonly string[] =>
  reading(dir, (place) => readdirSync(place).toSorted());

const readTrustFile = (file: string): Buffer => reading(file, (place) => readFileSync(place));

function reading<T>(place: string, read: (place: string) => T): T {
  try {
    return read(place);
  } catch (error) {
    throw new GridError('TRUST_MISSING', `cannot read ${place}, where trust is kept`, {
      cause: error,
    });
  }
}

/** CRLs come as PEM or as DER (fetch-crl writes either). */
function pemOf(file: string, label: string): string {
  const bytes = readTrustFile(file);
  const text = bytes.toString('latin1');
  if (text.includes('-----BEGIN')) return text.endsWith('\n') ? text : `${text}\n`;
  const base64 = bytes.toString('base64').replace(/(.{64})(?!$)/g, '$1\n');
  return `-----BEGIN ${label}-----\n${base64}\n-----END ${label}-----\n`;
}
