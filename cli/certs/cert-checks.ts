import { createPrivateKey, X509Certificate } from 'node:crypto';
import { existsSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import type { CertInfo } from '../../core/pki/cert.ts';
import { formatDuration } from '../../core/units.ts';
import { systemClock } from '../../service/clock.ts';
import { openLog } from '../../service/log.ts';
import { carriedAttributes, readAttributeCertificate } from '../../service/pki/attribute-cert.ts';
import { pemBlocks, privateKeyPem } from '../../service/pki/pem.ts';
import { certificatesFromPem } from '../../service/pki/x509.ts';
import { identify, surroundings } from '../../service/trust/authenticator.ts';
import { TrustStore } from '../../service/trust/trust-store.ts';
import type { Env, Settings } from '../config.ts';
import { instantText } from '../render.ts';

/** What was found about one thing. */
export interface Finding {
  readonly check: string;
  readonly verdict: 'ok' | 'warn' | 'fail';
  readonly detail: string;
  /** What to do; absent where all is well. */
  readonly remedy?: string;
}

const DAY_MS = 86_400_000;
const HOUR_MS = 3_600_000;

export const ok = (check: string, detail: string): Finding => ({ check, verdict: 'ok', detail });
export const warn = (check: string, detail: string, remedy: string): Finding => ({
  check,
  verdict: 'warn',
  detail,
  remedy,
});
export const fail = (check: string, detail: string, remedy: string): Finding => ({
  check,
  verdict: 'fail',
  detail,
  remedy,
});

/** Where nothing is trusted yet, the authority must be recognised by something. */
const MEET = 'run `grid ca trust --fingerprint SHA256`, with the fingerprint from an administrator';

/** The certificate: is it there, is it readable, for how long is it good. */
export function checkCertificate(settings: Settings, env: Env, nowMs: number): Finding {
  const check = 'certificate';
  const file = env['X509_USER_CERT'] ?? join(settings.home, 'usercert.pem');
  const [certificate] = readCertificates(file);
  if (certificate === undefined) {
    const remedy = 'ask an administrator for a token, then `grid cert request --token TOKEN`';
    return fail(check, `no certificate in ${file}`, remedy);
  }
  const { subject, notAfterMs } = certificate;
  const leftMs = notAfterMs - nowMs;
  if (leftMs <= 0) {
    const remedy = 'ask for a new token, then `grid cert request --force --token TOKEN`';
    return fail(check, `${subject} ended at ${instantText(notAfterMs)}`, remedy);
  }
  if (certificate.notBeforeMs > nowMs) {
    return fail(check, `${subject} is not valid yet`, 'set the clock of this machine');
  }
  const detail = `${subject}, ${formatDuration(leftMs)} left`;
  return leftMs < 30 * DAY_MS ? warn(check, detail, 'run `grid cert renew`') : ok(check, detail);
}

/** The key: whose it is, and who can read it. */
export function checkKey(settings: Settings, env: Env): Finding {
  const check = 'key';
  const file = env['X509_USER_KEY'] ?? join(settings.home, 'userkey.pem');
  const mode = statSync(file, { throwIfNoEntry: false })?.mode;
  if (mode === undefined) {
    return fail(check, `${file} does not exist`, 'a lost key cannot be had again: ask for a token');
  }
  if ((mode & 0o077) !== 0) {
    const octal = (mode & 0o777).toString(8);
    return fail(
      check,
      `${file} can be read by others (mode ${octal})`,
      `run \`chmod 600 ${file}\``,
    );
  }
  const pem = privateKeyPem(readFileSync(file, 'utf8'));
  const [certificate] = readCertificates(
    env['X509_USER_CERT'] ?? join(settings.home, 'usercert.pem'),
  );
  if (pem === undefined) return fail(check, `${file} holds no key`, 'restore it from a backup');
  if (/ENCRYPTED/.test(pem)) return ok(check, `${file}, encrypted`);
  if (certificate !== undefined && !belongs(certificate, pem)) {
    const remedy = 'put the matching pair there, or ask for a new token';
    return fail(check, `${file} is not the key of ${certificate.subject}`, remedy);
  }
  return ok(check, `${file}, for its owner only`);
}

/** The proxy that commands act with, and the membership in it. */
export function checkProxy(settings: Settings, env: Env, nowMs: number): Finding {
  const check = 'proxy';
  const file = env['X509_USER_PROXY'] ?? join(settings.home, 'proxy.pem');
  const chain = readCertificates(file);
  const [leaf] = chain;
  const remedy = 'run `grid login`';
  if (leaf === undefined) {
    if (existsSync(file)) return fail(check, `${file} holds no certificate`, remedy);
    return warn(check, 'none: commands act with the certificate, without a VO', remedy);
  }
  const mode = statSync(file).mode & 0o777;
  if ((mode & 0o077) !== 0) {
    return fail(check, `${file} can be read by others (mode ${mode.toString(8)})`, remedy);
  }
  const endsMs = Math.min(...chain.map(({ notAfterMs }) => notAfterMs));
  if (endsMs <= nowMs) return fail(check, `${file} ended at ${instantText(endsMs)}`, remedy);
  const memberships = chain.flatMap(carriedAttributes).map(readAttributeCertificate);
  const fqans = memberships.flatMap((one) => one.fqans);
  const ended = memberships.find(({ notAfterMs }) => notAfterMs <= nowMs);
  if (ended !== undefined) {
    return fail(check, `the membership of ${ended.vo ?? 'a VO'} in it has ended`, remedy);
  }
  const as = fqans.length === 0 ? 'no VO' : fqans.join(' ');
  const detail = `${as}, ${formatDuration(endsMs - nowMs)} left`;
  return endsMs - nowMs < HOUR_MS || fqans.length === 0
    ? warn(check, detail, fqans.length === 0 ? 'run `grid login --vo VO`' : remedy)
    : ok(check, detail);
}

/** Trust directory, revocation lists, and whether a server that trusts the same would accept what we show. */
export function checkTrust(settings: Settings, env: Env, nowMs: number): readonly Finding[] {
  const remedy = 'run `grid ca trust`';
  try {
    using store = TrustStore.open({
      dir: settings.trust,
      crl: 'require',
      clock: systemClock,
      log: openLog('doctor', 'silent'),
      reloadMs: 0,
    });
    const anchors = store.anchors();
    if (anchors.length === 0) {
      return [fail('trust', `${settings.trust} holds no authority`, MEET)];
    }
    const lists = anchors.map(({ cert, crl }) => {
      if (crl === undefined) return fail('crl', `none of ${cert.subject}`, remedy);
      const leftMs = crl.nextUpdateMs - nowMs;
      if (leftMs <= 0) return fail('crl', `that of ${cert.subject} has run out`, remedy);
      const detail = `${cert.subject}, good for ${formatDuration(leftMs)}`;
      return leftMs < DAY_MS ? warn('crl', detail, remedy) : ok('crl', detail);
    });
    const names = anchors.map(({ cert }) => cert.subject).join(', ');
    return [ok('trust', names), ...lists, checkPath(store, settings, env, nowMs)];
  } catch (error) {
    return [fail('trust', messageOf(error), MEET)];
  }
}

/** The very validation that brokers and gateways do. */
function checkPath(store: TrustStore, settings: Settings, env: Env, nowMs: number): Finding {
  const check = 'path';
  const proxy = env['X509_USER_PROXY'] ?? join(settings.home, 'proxy.pem');
  const own = env['X509_USER_CERT'] ?? join(settings.home, 'usercert.pem');
  const file = readCertificates(proxy).length > 0 ? proxy : own;
  const chain = readCertificates(file).map(({ der }) => der);
  if (chain.length === 0) return fail(check, 'nothing to show to a server', 'see above');
  try {
    const { trust, options } = surroundings(store, nowMs);
    const { dn } = identify(chain, trust, options);
    return ok(check, `${file} is accepted as ${dn}`);
  } catch (error) {
    return fail(check, `${file} is refused: ${messageOf(error)}`, 'mend that, then `grid login`');
  }
}

export const messageOf = (error: unknown): string =>
  error instanceof Error ? error.message : String(error);

function belongs(certificate: CertInfo, keyPem: string): boolean {
  try {
    return new X509Certificate(certificate.der).checkPrivateKey(createPrivateKey(keyPem));
  } catch {
    return false;
  }
}

/** Empty where there is no such file, or no certificate that can be read in it. */
function readCertificates(file: string): readonly CertInfo[] {
  try {
    const text = readFileSync(file, 'utf8');
    return pemBlocks(text).length === 0 ? [] : certificatesFromPem(text);
  } catch {
    return [];
  }
}
