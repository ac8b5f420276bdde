import { dirname, join } from 'node:path';
import { GridError } from '../../core/errors.ts';
import type { Dn } from '../../core/ids.ts';
import { formatDuration } from '../../core/units.ts';
import { VoMembershipService } from '../../proto/gen/grid/v1/authority.ts';
import { ensureDirectory } from '../../service/directories.ts';
import { loadUserCertificate, type UserCredential } from '../../service/pki/credential.ts';
import type { KeyKind } from '../../service/pki/csr.ts';
import { makeProxy, openPrivateKey } from '../../service/pki/proxy-cert.ts';
import { certificatesFromPem } from '../../service/pki/x509.ts';
import { type Connection, openClient } from '../../service/rpc/grpc-client.ts';
import { fetchTrust, installTrust } from '../../service/trust/fetch-trust.ts';
import { readAuthorities, readTrust } from '../../service/trust/read-trust.ts';
import { writeAtomic } from '../../service/write-atomic.ts';
import type { Env, Settings } from '../config.ts';
import type { Context } from '../context.ts';
import type { Input } from '../input.ts';
import { facts, instantText } from '../render.ts';
import { keyKindOf } from './ca.ts';

/** What kind of proxy is wanted; everything has a default. */
export interface LoginWish {
  readonly settings: Settings;
  readonly signal: AbortSignal;
  /** For X509_USER_CERT and X509_USER_KEY; none by default. */
  readonly env?: Env;
  /** The one in the settings, or the only one, by default. */
  readonly vo?: string | undefined;
  /** Groups and roles to act in; all groups by default. */
  readonly fqans?: readonly string[];
  /** Without membership of any VO. */
  readonly plain?: boolean;
  /** 12 hours by default. */
  readonly lifetimeMs?: number | undefined;
  readonly limited?: boolean;
  /** As the certificate's key by default. */
  readonly keyKind?: KeyKind | undefined;
  /** `proxy.pem` in the home by default. */
  readonly out?: string | undefined;
  /** Of an encrypted key; called only for one. */
  readonly passphrase?: () => Promise<string | undefined>;
  /** Takes a remark for the person. */
  readonly note?: (text: string) => void;
}

/** A proxy that was made and written. */
export interface Login {
  readonly dn: Dn;
  readonly vo: string | undefined;
  readonly fqans: readonly string[];
  /** When the proxy or the membership in it ends, whichever is first. */
  readonly expiresAtMs: number;
  readonly file: string;
}

/** What a VO has signed. */
interface Membership {
  readonly vo: string | undefined;
  readonly fqans: readonly string[];
  readonly attributeCertificates: readonly Uint8Array[];
  readonly expiresAtMs: number;
}

const NO_VO: Membership = {
  vo: undefined,
  fqans: [],
  attributeCertificates: [],
  expiresAtMs: Number.POSITIVE_INFINITY,
};

const DEFAULT_LIFETIME_MS = 12 * 3_600_000;

/** `grid login`. */
export async function login(context: Context, input: Input): Promise<number> {
  const made = await logIn({
    settings: await context.settings(),
    signal: context.signal,
    env: context.env,
    vo: input.text('vo'),
    fqans: input.list('fqan'),
    plain: input.on('plain'),
    lifetimeMs: lifetimeOf(input),
    limited: input.on('limited'),
    keyKind: keyKindOf(input),
    out: input.text('out'),
    passphrase: () => readPassphrase(context, input),
    note: context.terminal.note,
  });
  if (context.json) {
    context.terminal.out(JSON.stringify(made));
    return 0;
  }
  const left = formatDuration(made.expiresAtMs - Date.now());
  const lines = [
    ['you', made.dn],
    ['as', made.fqans.join(' ') || 'nobody in particular (no VO)'],
    ['until', `${instantText(made.expiresAtMs)} (${left})`],
    ['proxy', made.file],
  ] as const;
  context.terminal.out(facts(lines, context.colours));
  return 0;
}

const LEAST_LIFETIME_MS = 60_000;
/** Whoever checks a proxy takes one of eight days at most, and it begins some minutes before it is made. */
const MOST_LIFETIME_MS = 7 * 86_400_000;

/** How long the login shall last; undefined where nobody has said. */
function lifetimeOf(input: Input): number | undefined {
  const lifetimeMs = input.lifetime('lifetime');
  if (lifetimeMs === undefined || lifetimeMs >= LEAST_LIFETIME_MS) return lifetimeMs;
  throw new GridError('USAGE', `--lifetime '${input.text('lifetime')}' is too short: at least 1m`);
}

/** Less than what was asked for by more than clocks and calls make. */
const LESS_MS = 120_000;

/** Refreshes what is trusted, has the VO sign the membership, and writes the proxy (mode 0600). */
export async function logIn(wish: LoginWish): Promise<Login> {
  const { settings, env = {}, lifetimeMs = DEFAULT_LIFETIME_MS } = wish;
  const own = await unlocked(loadUserCertificate({ home: settings.home, env }), wish);
  const membership = wish.plain === true ? NO_VO : await fetchMembership(wish, own, lifetimeMs);
  const nowMs = Date.now();
  const proxy = await makeProxy({
    certPem: own.certPem,
    keyPem: own.keyPem,
    // Nobody knows of a proxy that it lasts longer than what it was made for.
    lifetimeMs: Math.min(lifetimeMs, MOST_LIFETIME_MS, membership.expiresAtMs - nowMs),
    nowMs,
    kind: wish.limited === true ? 'limited' : 'full',
    keyKind: wish.keyKind ?? keyKindLike(own),
    attributeCertificates: membership.attributeCertificates,
  });
  if (wish.lifetimeMs !== undefined && proxy.expiresAtMs < nowMs + lifetimeMs - LESS_MS) {
    wish.note?.(
      `this ends earlier than you asked: ${whyShorter(proxy.expiresAtMs - nowMs, membership.expiresAtMs - nowMs)}`,
    );
  }
  const file = wish.out ?? join(settings.home, 'proxy.pem');
  ensureDirectory(dirname(file), 0o700);
  await writeAtomic(file, proxy.fileText, 0o600);
  return {
    dn: own.dn,
    vo: membership.vo,
    fqans: membership.fqans,
    expiresAtMs: proxy.expiresAtMs,
    file,
  };
}

/** Why a login that is good for so long is no longer one. */
function whyShorter(lifetimeMs: number, membershipMs: number): string {
  if (membershipMs < lifetimeMs + LESS_MS)
    return 'the authority vouches for a membership for no longer';
  return lifetimeMs > MOST_LIFETIME_MS - LESS_MS
    ? 'nobody takes a proxy of more than 7d'
    : 'your certificate ends then';
}

async function readPassphrase(context: Context, input: Input): Promise<string | undefined> {
  if (input.on('passphrase-stdin')) {
    const [line = ''] = (await context.terminal.readStdin()).split(/\r?\n/);
    return line;
  }
  const { askSecret } = await import('./ask-secret.ts');
  return askSecret('pass phrase of your key: ', context.signal);
}

/** With the key in the clear, in memory only; throws KEY_LOCKED for a missing or wrong pass phrase. */
async function unlocked(own: UserCredential, wish: LoginWish): Promise<UserCredential> {
  if (!/ENCRYPTED/.test(own.keyPem)) return own;
  const key = openPrivateKey(own.keyPem, await wish.passphrase?.());
  return { ...own, keyPem: key.export({ type: 'pkcs8', format: 'pem' }).toString() };
}

/** Globus tools cannot delegate below a key of another kind than RSA. */
function keyKindLike(own: UserCredential): KeyKind {
  const [certificate] = certificatesFromPem(own.certPem);
  return certificate?.keyKind.startsWith('rsa') === true ? 'rsa' : 'ec';
}

/** Of no VO where there is no authority to ask, or the person is in none. */
async function fetchMembership(
  wish: LoginWish,
  own: UserCredential,
  lifetimeMs: number,
): Promise<Membership> {
  const { settings, signal, fqans = [] } = wish;
  const address = settings.authority;
  if (address === undefined) {
    if (wish.vo !== undefined || fqans.length > 0) {
      throw new GridError(
        'NOT_CONFIGURED',
        'no authority is named that could sign your membership',
      );
    }
    wish.note?.('no authority is configured: this proxy carries no VO');
    return NO_VO;
  }
  const trusted = await fetchTrust(address, readAuthorities(settings.trust), signal);
  await installTrust(trusted, { dir: settings.trust });
  using authority = openClient(VoMembershipService, 'authority', address, {
    ...readTrust(settings.trust),
    certPem: own.certPem,
    keyPem: own.keyPem,
  });
  const vo = await chooseVo(wish, authority);
  if (vo === undefined) return NO_VO;
  const request = { vo, fqans: [...fqans], lifetimeMs };
  const signed = await authority.call.signAttributes(request, { signal });
  return {
    vo,
    fqans: signed.fqans,
    attributeCertificates: [signed.attributeCertificate],
    expiresAtMs: signed.expiresAtMs,
  };
}

/** The VO that was named, by itself or in a role; else the one in the settings; else the only one. */
async function chooseVo(
  wish: LoginWish,
  authority: Connection<VoMembershipService>,
): Promise<string | undefined> {
  const ofRole = /^\/([^/]+)/.exec(wish.fqans?.[0] ?? '')?.[1];
  const named = wish.vo ?? ofRole ?? wish.settings.vo;
  if (named !== undefined) return named;
  const { vos } = await authority.call.listVos({}, { signal: wish.signal });
  const own = vos.filter(({ fqans }) => fqans.length > 0).map(({ vo }) => vo);
  if (own.length > 1) {
    throw new GridError(
      'USAGE',
      `you are in ${own.join(', ')}: choose one with --vo, or set \`vo:\` in config.yaml`,
    );
  }
  if (own.length === 0) wish.note?.('you are in no VO yet: a manager of one can add you');
  return own[0];
}
