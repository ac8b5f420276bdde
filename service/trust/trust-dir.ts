import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { GridError } from '../../core/errors.ts';
import type { Dn } from '../../core/ids.ts';
import type { CertInfo } from '../../core/pki/cert.ts';
import { ensureDirectory } from '../directories.ts';
import { oid, sequence, set, TAG, text } from '../pki/der.ts';
import { readName } from '../pki/name.ts';
import { certificatesFromPem, readCertificateParts } from '../pki/x509.ts';
import { writeAtomic } from '../write-atomic.ts';

/** What a relying party keeps of one authority. */
export interface TrustFiles {
  readonly certificatePem: string;
  readonly crlPem: string;
  /** Signing policy in the EACL syntax of Globus. */
  readonly signingPolicy: string;
}

/**
 * Writes `<hash>.0`, `<hash>.signing_policy` and `<hash>.r0` (the layout of Globus and OpenSSL) under both hashes of the
 * name, the CRL last, each as a whole. Throws CERT_INVALID where the directory holds another certificate of the same name: that is either a new
 * authority that somebody must decide to trust, or an impostor.
 */
export async function writeTrust(dir: string, files: TrustFiles): Promise<void> {
  const [certificate] = certificatesFromPem(files.certificatePem);
  if (certificate === undefined) throw new GridError('CERT_INVALID', 'no certificate to trust');
  ensureDirectory(dir);
  const name = readCertificateParts(certificate.der).subject;
  // Tools from before OpenSSL 1.0 look for the old hash.
  for (const hash of [oldSubjectHash(name), subjectHash(name)]) {
    await writeOne(join(dir, hash), certificate, files);
  }
}

async function writeOne(base: string, certificate: CertInfo, files: TrustFiles): Promise<void> {
  const present = certificateIn(`${base}.0`);
  if (present !== undefined && !sameBytes(present.der, certificate.der)) {
    throw new GridError(
      'CERT_INVALID',
      `${base}.0 is another certificate of '${certificate.subject}': remove it if this one is right`,
    );
  }
  await writeAtomic(`${base}.signing_policy`, files.signingPolicy, 0o644);
  if (present === undefined) await writeAtomic(`${base}.0`, files.certificatePem, 0o644);
  await writeAtomic(`${base}.r0`, files.crlPem, 0o644);
}

/** The path that an authority's files in a trust directory share, without `.0`, `.r0` and `.signing_policy`. */
export const trustFileBase = (dir: string, authority: CertInfo): string =>
  join(dir, subjectHash(readCertificateParts(authority.der).subject));

/** The trusted certificate that a file holds; undefined if there is no such file. */
function certificateIn(file: string): CertInfo | undefined {
  try {
    return certificatesFromPem(readFileSync(file, 'utf8'))[0];
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined;
    throw error;
  }
}

/** The Globus `.signing_policy` (EACL) of an authority that may sign names with these patterns. */
export const formatSigningPolicy = (authority: Dn, patterns: readonly string[]): string =>
  [
    '# What names this authority may sign; Globus and Hanse refuse all others.',
    `access_id_CA   X509    '${authority}'`,
    'pos_rights     globus  CA:sign',
    `cond_subjects  globus  '${patterns.map((pattern) => `"${pattern}"`).join(' ')}'`,
    '',
  ].join('\n');

/**
 * OpenSSL's `-subject_hash` of a Name (DER): the first four bytes, little-endian, of the SHA-1 of its canonical form,
 * in which strings are UTF-8, lower-case in ASCII, with runs of spaces made one.
 */
export function subjectHash(name: Uint8Array): string {
  const rdns = readName(name).map(({ attributes }) =>
    set(
      ...attributes
        .map((item) => sequence(oid(item.oid), text(TAG.utf8String, canonicalText(item.text))))
        .toSorted((one, other) => Buffer.compare(one, other)),
    ),
  );
  return firstWord(createHash('sha1').update(Buffer.concat(rdns)).digest());
}

/** OpenSSL's `-subject_hash_old`: the same of the MD5 of the name as it is. */
export const oldSubjectHash = (name: Uint8Array): string =>
  firstWord(createHash('md5').update(name).digest());

const firstWord = (digest: Buffer): string => digest.readUInt32LE(0).toString(16).padStart(8, '0');

const canonicalText = (value: string): string =>
  value
    .replace(/^[ \t-\r]+|[ \t-\r]+$/g, '')
    .replace(/[ \t-\r]+/g, ' ')
    .replace(/[A-Z]/g, (letter) => letter.toLowerCase());

const sameBytes = (one: Uint8Array, other: Uint8Array): boolean => Buffer.compare(one, other) === 0;
