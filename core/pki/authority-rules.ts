import type { Anchor, CertInfo } from './cert.ts';
import { checkAlgorithm, checkCertificate, NAME_CONSTRAINTS } from './certificate-rules.ts';
import { checkRevocation } from './crl-rules.ts';
import type { PathOptions, Trust } from './options.ts';
import { type PathRefusal, refuse } from './refusals.ts';
import { coversName } from './signing-policy.ts';

/** A way from an end entity up to a trusted root. */
export interface Way {
  readonly kind: 'way';
  readonly root: CertInfo;
  /** When the first of the authorities ends. */
  readonly expiresAtMs: number;
}

/**
 * Climbs from `endEntity` to a trusted root (RFC 5280, 6.1). Authorities are looked up by name among the trusted ones
 * first, then among `presented`; each needs its own signing policy and revocation list, so in practice an
 * intermediate authority must be installed, not just sent.
 */
export function climb(
  endEntity: CertInfo,
  presented: readonly CertInfo[],
  trust: Trust,
  options: PathOptions,
): Way | PathRefusal {
  let child = endEntity;
  let below = 0;
  let expiresAtMs = Number.POSITIVE_INFINITY;
  for (let level = 0; level < options.maxChain; level += 1) {
    const found = issuerOf(child, presented, trust);
    if ('kind' in found) return found;
    const refusal = checkAuthority(found, child, below, options);
    if (refusal !== undefined) return refusal;
    expiresAtMs = Math.min(expiresAtMs, found.cert.notAfterMs);
    if (isRoot(found.cert)) return { kind: 'way', root: found.cert, expiresAtMs };
    child = found.cert;
    below += 1;
  }
  return refuse('CHAIN_TOO_LONG', `more than ${options.maxChain} authorities`);
}

const isRoot = (cert: CertInfo): boolean => cert.subjectKey === cert.issuerKey;

/** An authority may have several certificates of one name (a new key): the one counts that made the signature. */
function issuerOf(
  child: CertInfo,
  presented: readonly CertInfo[],
  trust: Trust,
): Anchor | PathRefusal {
  const trusted = trust.anchors.filter(({ cert }) => cert.subjectKey === child.issuerKey);
  // A self-signed certificate that is not installed is somebody's own root, whatever it is called.
  const sent = presented
    .filter((cert) => cert.subjectKey === child.issuerKey && !isRoot(cert))
    .map((cert): Anchor => ({ cert }));
  const candidates = trusted.length > 0 ? trusted : sent;
  const [first] = candidates;
  if (first === undefined) {
    return refuse('UNTRUSTED_ISSUER', `'${child.issuer}', who issued '${child.subject}'`);
  }
  if (candidates.every(({ cert }) => !cert.isCa)) {
    return refuse('ISSUER_NOT_CA', `'${child.issuer}', who issued '${child.subject}'`);
  }
  const signer = candidates.find(({ cert }) => cert.isCa && trust.signedBy(child, cert));
  return signer ?? refuse('BAD_SIGNATURE', `'${child.subject}' by '${child.issuer}'`);
}

function checkAuthority(
  authority: Anchor,
  child: CertInfo,
  below: number,
  options: PathOptions,
): PathRefusal | undefined {
  const { cert } = authority;
  const name = `'${cert.subject}'`;
  if (cert.extensions.includes(NAME_CONSTRAINTS)) return refuse('NAME_CONSTRAINTS', name);
  if (cert.keyUsage?.includes('keyCertSign') === false) return refuse('CA_KEY_USAGE', name);
  if (below > (cert.caPathLength ?? Number.POSITIVE_INFINITY)) {
    return refuse('CA_PATHLEN', `${name} allows ${cert.caPathLength}, there are ${below}`);
  }
  return (
    checkCertificate(cert, options) ??
    (isRoot(cert) ? undefined : checkAlgorithm(cert)) ??
    checkNamespace(authority, child) ??
    checkRevocation(child, authority, options)
  );
}

function checkNamespace(authority: Anchor, child: CertInfo): PathRefusal | undefined {
  const name = `'${authority.cert.subject}'`;
  const { subjectPatterns } = authority;
  if (subjectPatterns === undefined) return refuse('NO_SIGNING_POLICY', name);
  return subjectPatterns.some((pattern) => coversName(pattern, child.subject))
    ? undefined
    : refuse('NAMESPACE', `'${child.subject}' by ${name}`);
}
