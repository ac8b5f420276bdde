import { createPrivateKey } from 'node:crypto';
import { existsSync } from 'node:fs';
import { hostname } from 'node:os';
import { dirname, isAbsolute, join, relative, resolve } from 'node:path';
import { stringify } from 'yaml';
import { GridError } from '../core/errors.ts';
import { type Dn, dn } from '../core/ids.ts';
import { parseIp } from '../core/pki/ip.ts';
import { formatName } from '../core/pki/name.ts';
import { type Entitlement, subjectOf } from '../core/pki/profile.ts';
import { type Clock, systemClock } from '../service/clock.ts';
import { ensureDirectory } from '../service/directories.ts';
import { openLog } from '../service/log.ts';
import {
  basicConstraints,
  keyUsage,
  makeCertificate,
  subjectKeyId,
} from '../service/pki/certificate-writer.ts';
import { type KeyKind, makeSigningRequest, readSigningRequest } from '../service/pki/csr.ts';
import { nameFromDn } from '../service/pki/name.ts';
import { toPem } from '../service/pki/pem.ts';
import { readCertificate } from '../service/pki/x509.ts';
import type { TrustFiles } from '../service/trust/trust-dir.ts';
import { writeAtomic } from '../service/write-atomic.ts';
import { publishCrl } from './crl.ts';
import { makeHostIdentity } from './host-identity.ts';
import { baseOf, keysOf } from './keys.ts';
import { openLedger } from './ledger.ts';
import { makeOfflineToken, withAuthority } from './offline.ts';
import type { Token } from './tokens.ts';
import { hostOf } from './vo.ts';
import { openWorkQueue } from './work-queue.ts';

/** What a new authority shall be. */
export interface AuthorityWish {
  /** Directory for everything of it; made if it is not there, refused if it holds an authority. */
  readonly dir: string;
  /** `/DC=org/DC=example/CN=Example Grid CA`: all names that it issues begin with what stands before the CN. */
  readonly name: string;
  /** EC P-256 by default; RSA-2048 for grids whose tools sign below RSA only (Globus). */
  readonly keyKind?: KeyKind | undefined;
  /** `host:port` to serve at; `127.0.0.1:7440` by default. */
  readonly listen?: string | undefined;
  /** `host:port` that others reach it at; the same as `listen` by default. */
  readonly public?: string | undefined;
  /** Names and addresses of its own host certificate; the host of `public` by default. */
  readonly hostNames?: readonly string[] | undefined;
  /** Where to publish; `trust` and `vomsdir` below `dir` by default. */
  readonly trust?: string | undefined;
  readonly vomsdir?: string | undefined;
  /** DNs of administrators. */
  readonly admins?: readonly string[] | undefined;
  /** Common name of a first administrator, for whom a token is made. */
  readonly admin?: string | undefined;
  readonly clock?: Clock | undefined;
}

/** A new authority. */
export interface NewAuthority {
  /** For `grid authority serve --config`. */
  readonly configFile: string;
  readonly dn: Dn;
  /** What relying parties install. */
  readonly trustFiles: TrustFiles;
  readonly trust: string;
  readonly vomsdir: string;
  /** For the first administrator, if one was named. */
  readonly adminToken?: Token;
}

const DEFAULT_LISTEN = '127.0.0.1:7440';
const LIFETIME_MS = 10 * 365 * 86_400_000;
/** Until the authority serves and makes its own. */
const FIRST_CRL_MS = 7 * 86_400_000;
const BACKDATE_MS = 300_000;

/**
 * Makes key, certificate, configuration, trust directory with the first CRL, and the authority's own host certificate.
 * Throws ALREADY_EXISTS where `dir` holds an authority, REQUEST_INVALID for a name that cannot be one.
 */
export async function initAuthority(wish: AuthorityWish): Promise<NewAuthority> {
  const dir = resolve(wish.dir);
  const configFile = join(dir, 'authority.yaml');
  if (existsSync(join(dir, 'ca.key')) || existsSync(configFile)) {
    throw new GridError('ALREADY_EXISTS', `${dir} holds an authority already`);
  }
  const { clock = systemClock, keyKind = 'ec' } = wish;
  const admins = adminsOf(wish);
  const trust = resolve(wish.trust ?? join(dir, 'trust'));
  const vomsdir = resolve(wish.vomsdir ?? join(dir, 'vomsdir'));
  ensureDirectory(dir, 0o700);
  ensureDirectory(vomsdir);
  const trustFiles = await makeRoot({ name: wish.name, keyKind, dir, trust, clock });
  await writeConfig(configFile, { ...wish, trust, vomsdir, admins });
  const hostNames = wish.hostNames ?? hostNamesOf(wish.public ?? wish.listen ?? DEFAULT_LISTEN);
  await withAuthority(dir, clock, (authority) =>
    makeHostIdentity(
      authority,
      { certificate: join(dir, 'hostcert.pem'), key: join(dir, 'hostkey.pem') },
      hostNames,
      keyKind,
    ),
  );
  const made = { configFile, dn: dn(wish.name), trustFiles, trust, vomsdir };
  if (wish.admin === undefined) return made;
  return { ...made, adminToken: await makeOfflineToken(dir, { ...person(wish.admin), clock }) };
}

/** The named administrators and the one that will enrol first; throws REQUEST_INVALID for a bad authority's name. */
function adminsOf(wish: AuthorityWish): readonly string[] {
  const base = baseOf(wish.name);
  const first = wish.admin === undefined ? [] : [subjectOf(base, person(wish.admin))];
  return [...(wish.admins ?? []), ...first.map(formatName)];
}

const person = (commonName: string): Entitlement => ({ profile: 'user', commonName, altNames: [] });

async function writeConfig(
  file: string,
  wish: AuthorityWish & { readonly trust: string; readonly vomsdir: string },
): Promise<void> {
  const dir = dirname(file);
  const config = {
    listen: wish.listen ?? DEFAULT_LISTEN,
    ...(wish.public === undefined ? {} : { public: wish.public }),
    certificate: 'hostcert.pem',
    key: 'hostkey.pem',
    'ca-certificate': 'ca.pem',
    'ca-key': 'ca.key',
    state: 'state',
    trust: inside(dir, wish.trust),
    vomsdir: inside(dir, wish.vomsdir),
    admins: wish.admins,
  };
  await writeAtomic(file, stringify(config), 0o600);
}

/** Key and self-signed certificate of the authority, and its first CRL in the trust directory. */
async function makeRoot(at: {
  readonly name: string;
  readonly keyKind: KeyKind;
  readonly dir: string;
  readonly trust: string;
  readonly clock: Clock;
}): Promise<TrustFiles> {
  const { clock } = at;
  const { keyPem, csr } = await makeSigningRequest(at.keyKind, 'authority');
  const { spki } = await readSigningRequest(csr);
  const key = createPrivateKey(keyPem);
  const name = nameFromDn(at.name);
  if (name === undefined) throw new GridError('REQUEST_INVALID', `'${at.name}' is no DN`);
  const nowMs = Math.floor(clock.nowMs() / 1_000) * 1_000;
  const der = makeCertificate(
    {
      subject: name,
      publicKey: spki,
      notBeforeMs: nowMs - BACKDATE_MS,
      notAfterMs: nowMs + LIFETIME_MS,
      // Path length 0: nothing below it may be an authority.
      extensions: [
        basicConstraints(true, 0),
        keyUsage('keyCertSign', 'cRLSign'),
        subjectKeyId(spki),
      ],
    },
    { name, key },
  );
  const keys = keysOf(readCertificate(der), key, 'the new key');
  await writeAtomic(join(at.dir, 'ca.key'), keyPem, 0o600);
  await writeAtomic(join(at.dir, 'ca.pem'), toPem('CERTIFICATE', der), 0o644);
  const state = join(at.dir, 'state');
  ensureDirectory(state, 0o700);
  const log = openLog('authority', 'silent');
  await using ledger = await openLedger({ file: join(state, 'authority.db'), clock, log });
  const publishing = { crlLifetimeMs: FIRST_CRL_MS, inTurn: openWorkQueue() };
  return await publishCrl({ keys, ledger, clock, trustDir: at.trust, ...publishing });
}

/** Loopback goes by all its names; another bare address needs a name for the DN. */
function hostNamesOf(address: string): readonly string[] {
  const host = hostOf(address);
  const loopback = ['localhost', '127.0.0.1', '::1'];
  if (loopback.includes(host)) return loopback;
  const name = hostname().toLowerCase();
  if (host === '0.0.0.0' || host === '::') return [name, ...loopback];
  return parseIp(host) === undefined ? [host] : [name, host];
}

/** Relative where it stays inside, so that the directory can be moved. */
function inside(dir: string, path: string): string {
  const way = relative(dir, path);
  return way.startsWith('..') || isAbsolute(way) ? path : way;
}
