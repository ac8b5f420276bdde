import { formatDuration } from '../units.ts';
import type { CertInfo, ProxyInfo } from './cert.ts';
import {
  checkAlgorithm,
  checkCertificate,
  checkExtendedUsage,
  maySign,
} from './certificate-rules.ts';
import type { PathOptions, Trust } from './options.ts';
import { type PathRefusal, refuse } from './refusals.ts';

/** What a row of proxies adds up to. */
export interface Delegation {
  readonly kind: 'delegation';
  /** One of the proxies is limited. */
  readonly limited: boolean;
  /** How many more proxies may follow; undefined for no limit. */
  readonly proxiesLeft?: number;
  readonly expiresAtMs: number;
}

/**
 * Checks `proxies` (leaf first) below `endEntity` (RFC 3820, 4). Each is issued by the next one, the last one by the
 * end entity; a right that is lost on the way down does not come back.
 */
export function checkProxies(
  proxies: readonly CertInfo[],
  endEntity: CertInfo,
  trust: Trust,
  options: PathOptions,
): Delegation | PathRefusal {
  let issuer = endEntity;
  let limited = false;
  let expiresAtMs = Number.POSITIVE_INFINITY;
  let proxiesLeft = Number.POSITIVE_INFINITY;
  for (const [depth, proxy] of proxies.toReversed().entries()) {
    const proxiesBelow = proxies.length - depth - 1;
    const refusal =
      checkCertificate(proxy, options) ??
      checkAlgorithm(proxy) ??
      checkLink(proxy, issuer, trust) ??
      checkPowers(proxy, options) ??
      checkInfo(proxy, limited, proxiesBelow);
    if (refusal !== undefined) return refusal;
    limited ||= proxy.proxy?.language === 'limited';
    expiresAtMs = Math.min(expiresAtMs, proxy.notAfterMs);
    proxiesLeft = Math.min(
      proxiesLeft,
      (proxy.proxy?.pathLength ?? Number.POSITIVE_INFINITY) - proxiesBelow,
    );
    issuer = proxy;
  }
  return {
    kind: 'delegation',
    limited,
    expiresAtMs,
    ...(Number.isFinite(proxiesLeft) ? { proxiesLeft } : {}),
  };
}

const CN = '2.5.4.3';

/** RFC 3820, 3.1 to 3.5: issued and named after the certificate above. */
function checkLink(proxy: CertInfo, issuer: CertInfo, trust: Trust): PathRefusal | undefined {
  const who = `'${proxy.subject}'`;
  if (proxy.issuerKey !== issuer.subjectKey) {
    return refuse('PROXY_ISSUER', `${who} names '${proxy.issuer}', not '${issuer.subject}'`);
  }
  const own = proxy.subjectRdns;
  const above = issuer.subjectRdns;
  const last = own.at(-1);
  const named =
    own.length === above.length + 1 &&
    above.every((rdn, at) => rdn.der === own[at]?.der) &&
    last?.oids.length === 1 &&
    last.oids[0] === CN;
  if (!named) return refuse('PROXY_SUBJECT', `${who} below '${issuer.subject}'`);
  if (!maySign(issuer)) return refuse('PROXY_ISSUER_KEY_USAGE', `'${issuer.subject}'`);
  if (!trust.signedBy(proxy, issuer)) {
    return refuse('BAD_SIGNATURE', `${who} by '${issuer.subject}'`);
  }
  return undefined;
}

/** RFC 3820, 3.6 and 3.7: a proxy is no authority and has no other names. */
function checkPowers(proxy: CertInfo, options: PathOptions): PathRefusal | undefined {
  const who = `'${proxy.subject}'`;
  if (proxy.isCa) return refuse('PROXY_IS_CA', who);
  const signs = proxy.keyUsage?.filter((usage) => usage === 'keyCertSign' || usage === 'cRLSign');
  if (signs !== undefined && signs.length > 0) {
    return refuse('PROXY_KEY_USAGE', `${who} has ${signs.join(', ')}`);
  }
  if (proxy.hasAltName) return refuse('PROXY_ALT_NAME', who);
  const lifetimeMs = proxy.notAfterMs - proxy.notBeforeMs;
  if (lifetimeMs > options.maxProxyLifetimeMs) {
    const most = formatDuration(options.maxProxyLifetimeMs);
    return refuse('PROXY_LIFETIME', `${formatDuration(lifetimeMs)}, at most ${most}: ${who}`);
  }
  return checkExtendedUsage(proxy, options);
}

/** RFC 3820, 3.8: what the proxyCertInfo extension says. */
function checkInfo(
  proxy: CertInfo,
  limitedAbove: boolean,
  proxiesBelow: number,
): PathRefusal | undefined {
  const who = `'${proxy.subject}'`;
  const info = proxy.proxy;
  if (info?.critical !== true) return refuse('PROXY_PCI_NOT_CRITICAL', who);
  const { language, pathLength } = info;
  // pCPathLenConstraint counts the proxies below this one.
  if (pathLength !== undefined && proxiesBelow > pathLength) {
    return refuse('PROXY_PATHLEN', `${who} allows ${pathLength}, there are ${proxiesBelow}`);
  }
  return checkLanguage(who, language, limitedAbove) ?? checkPolicy(who, info);
}

function checkLanguage(
  who: string,
  language: ProxyInfo['language'],
  limitedAbove: boolean,
): PathRefusal | undefined {
  if (typeof language === 'object') return refuse('PROXY_LANGUAGE', `${language.oid} of ${who}`);
  // It inherits nothing, so the owner's name must not open any door for it.
  if (language === 'independent') return refuse('PROXY_INDEPENDENT', who);
  if (language === 'inherit-all' && limitedAbove) return refuse('PROXY_LIMITED', who);
  return undefined;
}

/** None of the languages that are understood has a body (RFC 3820, 3.8.2). */
const checkPolicy = (who: string, info: ProxyInfo): PathRefusal | undefined =>
  info.hasPolicyBody ? refuse('PROXY_POLICY', who) : undefined;
