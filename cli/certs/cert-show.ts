import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { GridError } from '../../core/errors.ts';
import type { CertInfo } from '../../core/pki/cert.ts';
import { formatDuration } from '../../core/units.ts';
import { carriedAttributes, readAttributeCertificate } from '../../service/pki/attribute-cert.ts';
import { loadCredential } from '../../service/pki/credential.ts';
import { certificatesFromPem } from '../../service/pki/x509.ts';
import { colons } from '../../service/trust/fetch-trust.ts';
import type { Context } from '../context.ts';
import type { Input } from '../input.ts';
import { facts, instantText } from '../render.ts';

/** `grid cert show`. */
export async function showCertificate(context: Context, input: Input): Promise<number> {
  const [named] = input.args;
  const { home } = await context.settings();
  const file = named ?? loadCredential({ home, env: context.env, nowMs: 0 }).certFile;
  const chain = certificatesFromPem(readPem(file));
  if (chain.length === 0) throw new GridError('CERT_INVALID', `${file} holds no certificate`);
  const shown = chain.map(describe);
  if (context.json) {
    context.terminal.out(JSON.stringify({ file, chain: shown }));
    return 0;
  }
  const blocks = shown.map((one) => facts(linesOf(one), context.colours));
  context.terminal.out(`${file}\n\n${blocks.join('\n\n')}`);
  return 0;
}

/** A certificate for people and scripts. */
interface Description {
  readonly kind: 'authority' | 'proxy' | 'limited proxy' | 'certificate';
  readonly subject: string;
  readonly issuer: string;
  readonly serial: string;
  readonly notBeforeMs: number;
  readonly notAfterMs: number;
  readonly key: string;
  readonly names: readonly string[];
  readonly usage: readonly string[];
  /** SHA-256, hex with colons. */
  readonly fingerprint: string;
  readonly memberships: readonly Membership[];
}

/** Attributes as written in a proxy: nothing about them has been checked. */
interface Membership {
  readonly vo: string;
  readonly fqans: readonly string[];
  readonly notAfterMs: number;
}

function describe(cert: CertInfo): Description {
  return {
    kind: kindOf(cert),
    subject: cert.subject,
    issuer: cert.issuer,
    serial: cert.serial,
    notBeforeMs: cert.notBeforeMs,
    notAfterMs: cert.notAfterMs,
    key: cert.keyWeak ? `${cert.keyKind} (weak)` : cert.keyKind,
    names: [...cert.dnsNames, ...cert.ipAddresses],
    usage: cert.keyUsage ?? [],
    fingerprint: colons(createHash('sha256').update(cert.der).digest('base64url')),
    memberships: carriedAttributes(cert).map((der) => {
      const { vo = '?', fqans, notAfterMs } = readAttributeCertificate(der);
      return { vo, fqans, notAfterMs };
    }),
  };
}

function kindOf(cert: CertInfo): Description['kind'] {
  if (cert.proxy !== undefined)
    return cert.proxy.language === 'limited' ? 'limited proxy' : 'proxy';
  return cert.isCa ? 'authority' : 'certificate';
}

function linesOf(one: Description): readonly (readonly [string, string])[] {
  return [
    [one.kind, one.subject],
    ['issuer', one.issuer],
    ['serial', one.serial],
    ['from', instantText(one.notBeforeMs)],
    ['until', untilText(one.notAfterMs)],
    ['key', one.key],
    ['for', one.usage.join(', ')],
    ['names', one.names.join(', ')],
    ['sha-256', one.fingerprint],
    ...one.memberships.map(
      ({ vo, fqans, notAfterMs }) =>
        [`in ${vo}`, `${fqans.join(' ')}, until ${untilText(notAfterMs)}`] as const,
    ),
  ];
}

function untilText(ms: number): string {
  const left = ms - Date.now();
  const distance = left > 0 ? `${formatDuration(left)} left` : `ended ${formatDuration(-left)} ago`;
  return `${instantText(ms)} (${distance})`;
}

function readPem(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    throw new GridError('CERT_INVALID', `cannot read ${file}`, { cause: error });
  }
}
