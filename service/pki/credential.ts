import { readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { GridError } from '../../core/errors.ts';
import type { Dn } from '../../core/ids.ts';
import { describeRefusal, refuse } from '../../core/pki/refusals.ts';
import { formatInstant } from '../../core/units.ts';
import { privateKeyPem, toPem } from './pem.ts';
import { certificatesFromPem } from './x509.ts';

/** A user's certificate (or proxy) and key as they are shown to servers. */
export interface UserCredential {
  /** Leaf first, without roots. */
  readonly certPem: string;
  /** May be encrypted. */
  readonly keyPem: string;
  /** Subject of the end entity. */
  readonly dn: Dn;
  /** When the first certificate of the chain ends. */
  readonly expiresAtMs: number;
  /** Proxies above the key; 0 for the certificate itself. */
  readonly proxyDepth: number;
  /** Where it was found. */
  readonly certFile: string;
}

interface CredentialPlace {
  readonly certFile: string;
  readonly keyFile: string;
}

type Env = Readonly<Record<string, string | undefined>>;

interface CredentialOptions {
  /** Directory of the user's grid files (`~/.hanse`). */
  readonly home: string;
  readonly env: Env;
  /** Date.now() by default. */
  readonly nowMs?: number;
}

/**
 * Finds the user's credential: X509_USER_PROXY, `proxy.pem`, X509_USER_CERT with X509_USER_KEY, `usercert.pem` with
 * `userkey.pem`. Throws CREDENTIAL_MISSING where there is none, KEY_EXPOSED where others may read the key, CERT_INVALID
 * where it cannot be read, UNAUTHENTICATED where it has ended. An ended proxy is not skipped: silently acting as another
 * credential, with other rights, would be worse.
 */
export function loadCredential({
  home,
  env,
  nowMs = Date.now(),
}: CredentialOptions): UserCredential {
  const place = findPlace(home, env);
  const credential = readCredential(place);
  if (nowMs < credential.expiresAtMs) return credential;
  const what = `'${credential.dn}' in ${place.certFile} at ${formatInstant(credential.expiresAtMs)}`;
  throw new GridError(
    'UNAUTHENTICATED',
    `${describeRefusal(refuse('EXPIRED', what))}; run \`grid login\``,
  );
}

/** The user's long-lived certificate, for `grid login`; like `loadCredential`, but never a proxy. */
export function loadUserCertificate({
  home,
  env,
}: Pick<CredentialOptions, 'home' | 'env'>): UserCredential {
  return readCredential(certificatePlace(home, env));
}

function findPlace(home: string, env: Env): CredentialPlace {
  const named = env['X509_USER_PROXY'];
  if (named !== undefined && named !== '') return { certFile: named, keyFile: named };
  const proxy = join(home, 'proxy.pem');
  return exists(proxy) ? { certFile: proxy, keyFile: proxy } : certificatePlace(home, env);
}

function certificatePlace(home: string, env: Env): CredentialPlace {
  const certFile = env['X509_USER_CERT'] ?? join(home, 'usercert.pem');
  const keyFile = env['X509_USER_KEY'] ?? join(home, 'userkey.pem');
  if (exists(certFile) && exists(keyFile)) return { certFile, keyFile };
  const lacking = exists(certFile) ? keyFile : certFile;
  throw new GridError('CREDENTIAL_MISSING', `no certificate to show: ${lacking} does not exist`);
}

const exists = (file: string): boolean => statSync(file, { throwIfNoEntry: false }) !== undefined;

function readCredential({ certFile, keyFile }: CredentialPlace): UserCredential {
  requirePrivate(keyFile);
  const chain = certificatesFromPem(readText(certFile)).filter(
    ({ subjectKey, issuerKey }, at) => at === 0 || subjectKey !== issuerKey,
  );
  const depth = chain.findIndex(({ proxy }) => proxy === undefined);
  const endEntity = chain[depth];
  if (endEntity === undefined) {
    const hint = certFile === keyFile ? ': `grid login` makes a new proxy there' : '';
    throw new GridError(
      'CERT_INVALID',
      `${certFile} holds no certificate of a person or host${hint}`,
    );
  }
  const keyPem = privateKeyPem(readText(keyFile));
  if (keyPem === undefined) throw new GridError('CERT_INVALID', `${keyFile} holds no private key`);
  return {
    certPem: chain.map(({ der }) => toPem('CERTIFICATE', der)).join(''),
    keyPem,
    dn: endEntity.subject,
    expiresAtMs: Math.min(...chain.map(({ notAfterMs }) => notAfterMs)),
    proxyDepth: depth,
    certFile,
  };
}

function readText(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    throw new GridError('CREDENTIAL_MISSING', `${file} cannot be read`, { cause: error });
  }
}

/** Globus, ssh and we agree: a key that others may read is no secret. */
function requirePrivate(file: string): void {
  const mode = statSync(file, { throwIfNoEntry: false })?.mode;
  if (mode === undefined) throw new GridError('CREDENTIAL_MISSING', `${file} does not exist`);
  if ((mode & 0o077) !== 0) {
    const octal = (mode & 0o777).toString(8).padStart(4, '0');
    throw new GridError(
      'KEY_EXPOSED',
      `${file} holds a private key and may be read by others (mode ${octal}): chmod 600 ${file}`,
    );
  }
}
