import { GridError, type Problem } from '../errors.ts';
import type { Dn } from '../ids.ts';
import { formatDuration } from '../units.ts';
import type { CertInfo, KeyUsage } from './cert.ts';
import { parseIp, sameIp } from './ip.ts';
import { formatName, nameValueProblem, type Rdn } from './name.ts';

/** What a certificate is for. */
export type ProfileName = 'user' | 'host' | 'robot';

const DAY_MS = 86_400_000;
const SERVER_AUTH = '1.3.6.1.5.5.7.3.1';
const CLIENT_AUTH = '1.3.6.1.5.5.7.3.2';

/** What may be issued to whom. Thirteen months are what IGTF profiles allow an end entity. */
const PROFILES = {
  user: {
    unit: 'People',
    prefix: '',
    extendedKeyUsage: [CLIENT_AUTH],
    defaultLifetimeMs: 365 * DAY_MS,
    maxLifetimeMs: 400 * DAY_MS,
  },
  host: {
    unit: 'Hosts',
    prefix: '',
    extendedKeyUsage: [SERVER_AUTH, CLIENT_AUTH],
    defaultLifetimeMs: 365 * DAY_MS,
    maxLifetimeMs: 400 * DAY_MS,
  },
  robot: {
    unit: 'Robots',
    prefix: 'Robot: ',
    extendedKeyUsage: [CLIENT_AUTH],
    defaultLifetimeMs: 365 * DAY_MS,
    maxLifetimeMs: 400 * DAY_MS,
  },
} as const satisfies Record<ProfileName, object>;

/** Clocks of relying parties may be this much behind ours. */
const BACKDATE_MS = 300_000;
const MAX_ALT_NAMES = 50;

/** Whether `text` names a profile. */
export const isProfileName = (text: string): text is ProfileName => Object.hasOwn(PROFILES, text);

/** Who a certificate shall be for. */
export interface Entitlement {
  readonly profile: ProfileName;
  /** Name of the person or robot, or DNS name of the host. */
  readonly commonName: string;
  /** Further DNS names and IP addresses of a host. */
  readonly altNames: readonly string[];
}

/** The facts of the key that is to be certified. */
export type PublicKeyFacts = Pick<CertInfo, 'keyKind' | 'keyWeak' | 'keySha256'>;

/** Everything that a certificate will say but for serial and signature. */
export interface CertificateTemplate {
  readonly subject: readonly Rdn[];
  readonly dn: Dn;
  readonly notBeforeMs: number;
  readonly notAfterMs: number;
  readonly keyUsage: readonly KeyUsage[];
  readonly extendedKeyUsage: readonly string[];
  readonly dnsNames: readonly string[];
  readonly ipAddresses: readonly string[];
  readonly keySha256: string;
}

/** `base` (the authority's name without its CN) and the profile's unit and name; throws REQUEST_INVALID. */
export function subjectOf(base: readonly Rdn[], wanted: Entitlement): readonly Rdn[] {
  const profile = PROFILES[wanted.profile];
  const problems = entitlementProblems(wanted);
  if (problems.length > 0) {
    const first = problems[0]?.message ?? '';
    throw new GridError('REQUEST_INVALID', `no ${wanted.profile} certificate: ${first}`, {
      problems,
    });
  }
  return [
    ...base,
    { type: 'OU', value: profile.unit },
    { type: 'CN', value: `${profile.prefix}${wanted.commonName}` },
  ];
}

/** What to sign for `wanted`. Throws REQUEST_INVALID for names or keys that may not be certified. */
export function planCertificate(request: {
  readonly wanted: Entitlement;
  readonly base: readonly Rdn[];
  readonly key: PublicKeyFacts;
  /** 0 for the profile's default; capped by the profile's longest and by the issuer's end. */
  readonly lifetimeMs: number;
  readonly issuer: { readonly notBeforeMs: number; readonly notAfterMs: number };
  readonly nowMs: number;
}): CertificateTemplate {
  const { wanted, key, nowMs, issuer } = request;
  const profile = PROFILES[wanted.profile];
  const subject = subjectOf(request.base, wanted);
  if (key.keyWeak) {
    throw new GridError(
      'REQUEST_INVALID',
      `a ${key.keyKind} key is too weak: make an EC P-256 key, or RSA with 2048 bits or more`,
    );
  }
  const asked = request.lifetimeMs > 0 ? request.lifetimeMs : profile.defaultLifetimeMs;
  const notAfterMs = Math.min(nowMs + Math.min(asked, profile.maxLifetimeMs), issuer.notAfterMs);
  if (notAfterMs <= nowMs) {
    const since = formatDuration(nowMs - issuer.notAfterMs);
    throw new GridError('REQUEST_INVALID', `the authority's own certificate ended ${since} ago`);
  }
  const host = wanted.profile === 'host';
  const names = host ? [...new Set([wanted.commonName, ...wanted.altNames])] : [];
  return {
    subject,
    dn: formatName(subject),
    notBeforeMs: wholeSeconds(Math.max(nowMs - BACKDATE_MS, issuer.notBeforeMs)),
    notAfterMs: wholeSeconds(notAfterMs),
    // RSA hosts still meet clients that transport keys; an EC key can only sign.
    keyUsage: key.keyKind.startsWith('rsa')
      ? ['digitalSignature', 'keyEncipherment']
      : ['digitalSignature'],
    extendedKeyUsage: profile.extendedKeyUsage,
    dnsNames: names.filter((name) => parseIp(name) === undefined),
    ipAddresses: names.filter((name) => parseIp(name) !== undefined),
    keySha256: key.keySha256,
  };
}

/** Where a signed certificate differs from what was to be signed; empty for nowhere. */
export function templateDifferences(
  template: CertificateTemplate,
  cert: CertInfo,
  issuer: CertInfo,
): readonly string[] {
  const sameAddresses =
    cert.ipAddresses.length === template.ipAddresses.length &&
    template.ipAddresses.every((ip) => cert.ipAddresses.some((other) => sameIp(ip, other)));
  const checks: readonly (readonly [string, boolean])[] = [
    ['version', cert.version === 3],
    ['subject', cert.subject === template.dn],
    ['issuer', cert.issuerKey === issuer.subjectKey],
    ['start', cert.notBeforeMs === template.notBeforeMs],
    ['end', cert.notAfterMs === template.notAfterMs && cert.notAfterMs <= issuer.notAfterMs],
    ['key', cert.keySha256 === template.keySha256 && !cert.keyWeak],
    ['signature algorithm', cert.signatureAlgorithmOk],
    ['basic constraints', !cert.isCa && cert.proxy === undefined],
    ['key usage', same(cert.keyUsage ?? [], template.keyUsage)],
    ['extended key usage', same(cert.extendedKeyUsage ?? [], template.extendedKeyUsage)],
    ['DNS names', same(cert.dnsNames, template.dnsNames)],
    ['IP addresses', sameAddresses],
  ];
  return checks.filter(([, good]) => !good).map(([what]) => what);
}

const same = (one: readonly string[], other: readonly string[]): boolean =>
  one.toSorted().join('\n') === other.toSorted().join('\n');

const at = (where: string, message: string | undefined): readonly Problem[] =>
  message === undefined ? [] : [{ where, message }];

function entitlementProblems(wanted: Entitlement): readonly Problem[] {
  const { profile, commonName, altNames } = wanted;
  if (profile !== 'host') {
    const extra = altNames.length > 0 ? 'only hosts have alternative names' : undefined;
    const robot = /^robot\b/i.test(commonName)
      ? `'${commonName}' is written for robots`
      : undefined;
    return [
      ...at('common_name', nameValueProblem(PROFILES[profile].prefix + commonName) ?? robot),
      ...at('alt_names', extra),
    ];
  }
  const many = altNames.length > MAX_ALT_NAMES ? `more than ${MAX_ALT_NAMES} names` : undefined;
  return [
    ...at('common_name', nameValueProblem(commonName) ?? dnsNameProblem(commonName)),
    ...at('alt_names', many),
    ...altNames.flatMap((name) =>
      at('alt_names', parseIp(name) === undefined ? dnsNameProblem(name) : undefined),
    ),
  ];
}

/** Wildcards are refused on purpose: a host certificate names one host, and the DN stands for it. */
function dnsNameProblem(name: string): string | undefined {
  const label = /^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/;
  const good =
    name.length <= 253 &&
    name.split('.').every((part) => label.test(part)) &&
    !/(?:^|\.)\d+$/.test(name);
  return good ? undefined : `'${name.slice(0, 80)}' is no DNS name in lower case`;
}

const wholeSeconds = (ms: number): number => Math.floor(ms / 1_000) * 1_000;
