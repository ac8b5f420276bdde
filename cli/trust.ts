import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { GridError } from '../core/errors.ts';

/**
 * Certificates and CRLs of a trust directory (`<hash>.<n>`, `<hash>.r<n>`) as PEM for a client; throws NOT_CONFIGURED
 * when there is no authority in it. Validity and signing policies are OpenSSL's and the server's business.
 */
export function readTrust(dir: string): { readonly caPem: string; readonly crlPem?: string } {
  const names = listing(dir);
  const authorities = names.filter((name) => /\.(?:[0-9]|pem)$/.test(name));
  const lists = names.filter((name) => /\.r[0-9]$/.test(name));
  if (authorities.length === 0)
    throw new GridError('NOT_CONFIGURED', `trust directory ${dir} holds no authority`);
  const caPem = authorities.map((name) => pemOf(join(dir, name), 'CERTIFICATE')).join('');
  if (lists.length === 0) return { caPem };
  return { caPem, crlPem: lists.map((name) => pemOf(join(dir, name), 'X509 CRL')).join('') };
}

const listing = (dir: string): readonly string[] =>
  reading(dir, (place) => readdirSync(place).toSorted());

const readTrustFile = (file: string): Buffer => reading(file, (place) => readFileSync(place));

function reading<T>(place: string, read: (place: string) => T): T {
  try {
    return read(place);
  } catch (error) {
    throw new GridError('NOT_CONFIGURED', `cannot read ${place}, where trust is kept`, {
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
