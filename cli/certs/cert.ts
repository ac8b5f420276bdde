import { readFileSync } from 'node:fs';
import { rename, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { GridError } from '../../core/errors.ts';
import { CertAuthorityService } from '../../proto/gen/grid/v1/authority.ts';
import { ensureDirectory } from '../../service/directories.ts';
import { loadUserCertificate } from '../../service/pki/credential.ts';
import { type KeyKind, makeSigningRequest } from '../../service/pki/csr.ts';
import { peekToken, type TokenHints } from '../../service/pki/enrolment-token.ts';
import { certificatesFromPem } from '../../service/pki/x509.ts';
import { openClient } from '../../service/rpc/grpc-client.ts';
import { fetchTrust, installTrust, meetAuthority } from '../../service/trust/fetch-trust.ts';
import { readAuthorities } from '../../service/trust/read-trust.ts';
import { writeAtomic } from '../../service/write-atomic.ts';
import type { Settings } from '../config.ts';
import type { Context } from '../context.ts';
import type { Input } from '../input.ts';
import { instantText } from '../render.ts';
import { namedAuthority } from './authority-client.ts';
import { keyKindOf } from './ca.ts';

/** Where a certificate, its key and the trust for it belong. */
export interface Places {
  readonly cert: string;
  readonly key: string;
  readonly trust: string;
}

/** `grid cert request`. */
export async function requestCertificate(context: Context, input: Input): Promise<number> {
  const settings = await context.settings();
  const { signal } = context;
  const token = await readToken(context, input);
  const hints = peekToken(token);
  const places = placesOf(input, settings, hints);
  refuseToReplace(places, input.on('force'));
  const certificatePem = await obtainCertificate({
    token,
    places,
    kind: keyKindOf(input) ?? 'ec',
    lifetimeMs: input.lifetime('lifetime') ?? 0,
    signal,
  });
  if (hints.profile !== 'host') await rememberAuthority(settings, hints.address);
  report(context, places, certificatePem);
  if (hints.profile !== 'host') context.terminal.note('now run `grid login`');
  return 0;
}

/** What is wanted of the authority that a token names. */
export interface CertificateWish {
  readonly token: string;
  readonly places: Places;
  readonly kind: KeyKind;
  /** 0 for what the authority gives by itself. */
  readonly lifetimeMs: number;
  readonly signal: AbortSignal;
}

/** Makes a key, gets a certificate for it and installs both with what the authority says of itself; gives the PEM. */
export async function obtainCertificate(wish: CertificateWish): Promise<string> {
  const { token, places, lifetimeMs, signal } = wish;
  const hints = peekToken(token);
  const caPem = await meetAuthority(hints.address, hints.fingerprint, signal);
  const trusted = await fetchTrust(hints.address, caPem, signal);
  const { keyPem, csr } = await makeSigningRequest(wish.kind, hints.commonName);
  using authority = openClient(CertAuthorityService, 'authority', hints.address, {
    caPem,
    crlPem: trusted.crlPem,
  });
  const request = { token, csr: Buffer.from(csr), lifetimeMs };
  const certificatePem = await install(places, keyPem, async () => {
    const answer = await authority.call.enrol(request, { signal });
    return answer.certificatePem;
  });
  await installTrust(trusted, { dir: places.trust });
  return certificatePem;
}

/** `grid cert renew`. */
export async function renewCertificate(context: Context, input: Input): Promise<number> {
  const settings = await context.settings();
  const { signal, env } = context;
  const places: Places = {
    cert: input.text('cert') ?? env['X509_USER_CERT'] ?? join(settings.home, 'usercert.pem'),
    key: input.text('key') ?? env['X509_USER_KEY'] ?? join(settings.home, 'userkey.pem'),
    trust: input.text('trust') ?? settings.trust,
  };
  const old = loadUserCertificate({
    home: settings.home,
    env: { X509_USER_CERT: places.cert, X509_USER_KEY: places.key },
  });
  const address = input.text('authority') ?? namedAuthority(settings);
  const trusted = await fetchTrust(address, readAuthorities(places.trust), signal);
  await installTrust(trusted, { dir: places.trust });
  const [certificate] = certificatesFromPem(old.certPem);
  const kind: KeyKind = certificate?.keyKind.startsWith('rsa') === true ? 'rsa' : 'ec';
  const { keyPem, csr } = await makeSigningRequest(kind, 'renewal');
  using authority = openClient(CertAuthorityService, 'authority', address, {
    caPem: trusted.certificatePem,
    crlPem: trusted.crlPem,
    certPem: old.certPem,
    keyPem: old.keyPem,
  });
  const lifetimeMs = input.lifetime('lifetime') ?? 0;
  const request = { csr: Buffer.from(csr), lifetimeMs };
  // Whatever else stood in the file (a service's file may carry its authority) goes on standing there.
  const rest = certificatesOf(readFileSync(places.cert, 'utf8')).slice(1).join('');
  const certPem = await install(places, keyPem, async () => {
    const { certificatePem } = await authority.call.renewCertificate(request, { signal });
    return certificatePem + rest;
  });
  report(context, places, certPem);
  return 0;
}

async function readToken(context: Context, input: Input): Promise<string> {
  const token = input.text('token') ?? '-';
  return (token === '-' ? await context.terminal.readStdin() : token).trim();
}

function placesOf(input: Input, settings: Settings, hints: TokenHints): Places {
  const host = hints.profile === 'host';
  const dir = input.text('out') ?? (host ? '.' : settings.home);
  const stem = host ? 'host' : 'user';
  const trust = host ? join(dir, 'certificates') : settings.trust;
  return {
    cert: input.text('out-cert') ?? join(dir, `${stem}cert.pem`),
    key: input.text('out-key') ?? join(dir, `${stem}key.pem`),
    trust: input.text('trust') ?? trust,
  };
}

/** A key that is overwritten is gone for good, and with it every job that waits for its proxy. */
function refuseToReplace(places: Places, force: boolean): void {
  const [present] = certificatesFromPem(readOr(places.cert, ''));
  if (present === undefined || present.notAfterMs <= Date.now() || force) return;
  throw new GridError(
    'ALREADY_EXISTS',
    `${places.cert} is good until ${instantText(present.notAfterMs)}: use --force to replace it`,
  );
}

/**
 * Puts a key and the certificate that `obtain` gives for it in their places; gives the certificate. A token is good for one:
 * what cannot be written is known before it is asked for. An old pair is replaced when both are on the disk.
 */
async function install(
  places: Places,
  keyPem: string,
  obtain: () => Promise<string>,
): Promise<string> {
  const [key, cert] = [`${places.key}.new`, `${places.cert}.new`];
  for (const file of [key, cert]) ensureDirectory(dirname(file), 0o700);
  try {
    await writeAtomic(key, keyPem, 0o600);
    await writeAtomic(cert, '', 0o644);
    const certPem = await obtain();
    await writeAtomic(cert, certPem, 0o644);
    await rename(key, places.key);
    await rename(cert, places.cert);
    return certPem;
  } finally {
    for (const file of [key, cert]) await rm(file, { force: true });
  }
}

/** Puts the authority's address into config.yaml, and leaves everything else there as it is. */
async function rememberAuthority(settings: Settings, address: string): Promise<void> {
  const { parseDocument } = await import('yaml');
  const file = join(settings.home, 'config.yaml');
  const document = parseDocument(readOr(file, ''));
  if (document.get('authority') === address) return;
  document.set('authority', address);
  ensureDirectory(settings.home, 0o700);
  await writeAtomic(file, document.toString(), 0o600);
}

function report(context: Context, places: Places, certPem: string): void {
  const [certificate] = certificatesFromPem(certPem);
  if (certificate === undefined) return;
  const { subject: dn, serial, notAfterMs } = certificate;
  if (context.json) {
    context.terminal.out(JSON.stringify({ dn, serial, notAfterMs, ...places }));
    return;
  }
  context.terminal.out(dn);
  context.terminal.note(
    `until ${instantText(notAfterMs)}, in ${places.cert}; key in ${places.key}`,
  );
}

const certificatesOf = (pem: string): readonly string[] =>
  pem.match(/-----BEGIN CERTIFICATE-----[^-]*-----END CERTIFICATE-----\n?/g) ?? [];

function readOr(file: string, otherwise: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return otherwise;
    throw new GridError('CERT_INVALID', `cannot read ${file}`, { cause: error });
  }
}
