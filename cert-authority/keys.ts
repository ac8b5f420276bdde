import { createHash, createPrivateKey, type KeyObject, X509Certificate } from 'node:crypto';
import { readFileSync, statSync } from 'node:fs';
import { GridError } from '../core/errors.ts';
import type { CertInfo } from '../core/pki/cert.ts';
import { parseName, type Rdn } from '../core/pki/name.ts';
import { keyIdOf } from '../service/pki/certificate-writer.ts';
import { toPem } from '../service/pki/pem.ts';
import { certificatesFromPem, readCertificateParts } from '../service/pki/x509.ts';

/** Certificate and key that sign certificates, CRLs and tokens. */
export interface AuthorityKeys {
  readonly key: KeyObject;
  readonly certificate: CertInfo;
  readonly certificatePem: string;
  /** Its name without the CN: what all issued names begin with. */
  readonly base: readonly Rdn[];
  /** Its name, DER. */
  readonly name: Uint8Array;
  readonly keyId: Uint8Array;
  /** SHA-256 of the certificate, base64url: how a newcomer recognises the authority. */
  readonly fingerprint: string;
}

/** Reads both files; throws CONFIG_INVALID unless they belong together and the key is its owner's only. */
export function loadAuthorityKeys(files: {
  readonly certificate: string;
  readonly key: string;
}): AuthorityKeys {
  const [certificate] = certificatesFromPem(readText(files.certificate));
  if (certificate === undefined || !certificate.isCa) {
    throw new GridError('CONFIG_INVALID', `${files.certificate} holds no authority's certificate`);
  }
  return keysOf(certificate, readPrivateKey(files.key), files.key);
}

/** Key file -> key; throws CONFIG_INVALID where others than its owner can read it. */
function readPrivateKey(file: string): KeyObject {
  const pem = readText(file);
  const mode = statSync(file).mode & 0o777;
  if ((mode & 0o077) !== 0) {
    const octal = mode.toString(8).padStart(3, '0');
    throw new GridError('CONFIG_INVALID', `${file} has mode ${octal}: run \`chmod 600 ${file}\``);
  }
  try {
    return createPrivateKey(pem);
  } catch (error) {
    throw new GridError('CONFIG_INVALID', `${file} holds no private key`, { cause: error });
  }
}

/** Certificate and key in memory; `source` names the key in the refusal when they do not match. */
export function keysOf(certificate: CertInfo, key: KeyObject, source: string): AuthorityKeys {
  if (!new X509Certificate(certificate.der).checkPrivateKey(key)) {
    throw new GridError('CONFIG_INVALID', `${source} is not the key of ${certificate.subject}`);
  }
  const parts = readCertificateParts(certificate.der);
  return {
    key,
    certificate,
    certificatePem: toPem('CERTIFICATE', certificate.der),
    base: baseOf(certificate.subject),
    name: parts.subject,
    keyId: keyIdOf(parts.publicKey),
    fingerprint: createHash('sha256').update(certificate.der).digest('base64url'),
  };
}

/** `/DC=org/DC=example/CN=Example CA` -> `/DC=org/DC=example`; throws REQUEST_INVALID for other shapes. */
export function baseOf(name: string): readonly Rdn[] {
  const rdns = parseName(name);
  // A signing policy quotes the authority's name in apostrophes.
  if (
    name.includes("'") ||
    rdns.length < 2 ||
    rdns.at(-1)?.type !== 'CN' ||
    rdns.slice(0, -1).some(isCn)
  ) {
    throw new GridError(
      'REQUEST_INVALID',
      `'${name}' is no authority's name: write for instance /DC=org/DC=example/CN=Example Grid CA`,
    );
  }
  return rdns.slice(0, -1);
}

const isCn = (rdn: Rdn): boolean => rdn.type === 'CN';

function readText(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    throw new GridError('CONFIG_INVALID', `cannot read ${file}`, { cause: error });
  }
}
