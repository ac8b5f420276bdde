import type { Dn } from '../ids.ts';
import { climb } from './authority-rules.ts';
import type { CertInfo } from './cert.ts';
import {
  checkAlgorithm,
  checkCertificate,
  checkExtendedUsage,
  maySign,
} from './certificate-rules.ts';
import type { PathOptions, Trust } from './options.ts';
import { checkProxies } from './proxy-rules.ts';
import { type PathRefusal, refuse } from './refusals.ts';

/** Who a chain belongs to. */
export interface Identity {
  readonly kind: 'identity';
  /** Subject of the end entity: never that of a proxy. */
  readonly dn: Dn;
  readonly endEntity: CertInfo;
  /** Leaf first. */
  readonly proxies: readonly CertInfo[];
  readonly root: CertInfo;
  readonly limited: boolean;
  /** How many more proxies may follow; undefined for no limit. */
  readonly proxiesLeft?: number;
  /** When the first certificate of the whole path ends. */
  readonly expiresAtMs: number;
}

/** GT3 proxyCertInfo, from before RFC 3820. */
const DRAFT_PROXY = '1.3.6.1.4.1.3536.1.222';

/**
 * Who presents `chain` (leaf first; roots are ignored), or why that cannot be said: RFC 5280 for the end entity and
 * its authorities, RFC 3820 for the proxies below it, IGTF signing policies and CRLs. The identity is the first
 * certificate that is no proxy; nothing is taken from a place in the chain.
 */
export function validatePath(
  chain: readonly CertInfo[],
  trust: Trust,
  options: PathOptions,
): Identity | PathRefusal {
  const [leaf] = chain;
  if (leaf === undefined) return refuse('NO_CERT');
  if (chain.length > options.maxChain) {
    return refuse('CHAIN_TOO_LONG', `${chain.length}, at most ${options.maxChain}`);
  }
  const legacy = chain.find(isLegacyProxy);
  if (legacy !== undefined) return refuse('PROXY_LEGACY', `'${legacy.subject}'`);
  const depth = chain.findIndex((cert) => cert.proxy === undefined);
  const endEntity = chain[depth];
  if (endEntity === undefined) return refuse('PROXY_WITHOUT_EEC', `'${leaf.subject}'`);
  if (depth > options.maxProxyDepth) {
    return refuse('PROXY_DEPTH', `${depth} proxies, at most ${options.maxProxyDepth}`);
  }
  const above = chain.slice(depth + 1);
  const misplaced = above.find((cert) => cert.proxy !== undefined);
  if (misplaced !== undefined) return refuse('PROXY_ABOVE_EEC', `'${misplaced.subject}'`);
  const way = validateEndEntity(endEntity, above, trust, options);
  if (way.kind === 'refused') return way;
  const proxies = chain.slice(0, depth);
  const delegation = checkProxies(proxies, endEntity, trust, options);
  if (delegation.kind === 'refused') return delegation;
  if (!maySign(leaf)) return refuse('KEY_USAGE', `'${leaf.subject}'`);
  return {
    kind: 'identity',
    dn: endEntity.subject,
    endEntity,
    proxies,
    root: way.root,
    limited: delegation.limited,
    ...(delegation.proxiesLeft === undefined ? {} : { proxiesLeft: delegation.proxiesLeft }),
    expiresAtMs: Math.min(way.expiresAtMs, endEntity.notAfterMs, delegation.expiresAtMs),
  };
}

/** The part of a path from an end entity upwards; for those who sign something else than a handshake. */
export function validateEndEntity(
  endEntity: CertInfo,
  above: readonly CertInfo[],
  trust: Trust,
  options: PathOptions,
): ReturnType<typeof climb> {
  const name = `'${endEntity.subject}'`;
  if (endEntity.isCa || endEntity.keyUsage?.includes('keyCertSign') === true) {
    return refuse('EEC_IS_CA', name);
  }
  if (endEntity.subjectRdns.length === 0)
    return refuse('NO_SUBJECT', `issued by '${endEntity.issuer}'`);
  const refusal =
    checkCertificate(endEntity, options) ??
    checkAlgorithm(endEntity) ??
    checkExtendedUsage(endEntity, options);
  return refusal ?? climb(endEntity, above, trust, options);
}

/** GT3 marks its proxies by another extension, GT2 only by a last CN of `proxy` or `limited proxy`. */
function isLegacyProxy(cert: CertInfo): boolean {
  return (
    cert.extensions.includes(DRAFT_PROXY) ||
    (cert.proxy === undefined &&
      ['/CN=proxy', '/CN=limited proxy'].some((end) => cert.subject === `${cert.issuer}${end}`))
  );
}
