import { formatInstant } from '../units.ts';
import type { CertInfo } from './cert.ts';
import type { PathOptions } from './options.ts';
import { type PathRefusal, refuse } from './refusals.ts';

/** Extensions that validation acts on (RFC 5280, 4.2: a critical one that it does not act on is refused). */
const UNDERSTOOD = new Set([
  '2.5.29.15', // keyUsage
  '2.5.29.17', // subjectAltName
  '2.5.29.19', // basicConstraints
  '2.5.29.32', // certificatePolicies: any policy will do
  '2.5.29.37', // extKeyUsage
  '1.3.6.1.5.5.7.1.14', // proxyCertInfo
]);
const ANY_USAGE = '2.5.29.37.0';

/** What holds for every certificate of a path, whatever its part in it. */
export function checkCertificate(cert: CertInfo, options: PathOptions): PathRefusal | undefined {
  const name = `'${cert.subject}'`;
  if (cert.version !== 3) return refuse('NOT_V3', `${name} is of version ${cert.version}`);
  if (cert.keyWeak) return refuse('WEAK_KEY', `${name} has a key of kind ${cert.keyKind}`);
  const unknown = cert.criticalExtensions.find((type) => !UNDERSTOOD.has(type));
  if (unknown !== undefined && unknown !== NAME_CONSTRAINTS) {
    return refuse('CRITICAL_EXTENSION', `${unknown} in ${name}`);
  }
  return checkDates(cert, options);
}

/** OID of nameConstraints, which has a code of its own. */
export const NAME_CONSTRAINTS = '2.5.29.30';

function checkDates(cert: CertInfo, { nowMs, skewMs }: PathOptions): PathRefusal | undefined {
  const name = `'${cert.subject}'`;
  if (nowMs - skewMs > cert.notAfterMs) {
    return refuse('EXPIRED', `${name} at ${formatInstant(cert.notAfterMs)}`);
  }
  if (nowMs + skewMs < cert.notBeforeMs) {
    return refuse('NOT_YET_VALID', `${name} from ${formatInstant(cert.notBeforeMs)} on`);
  }
  return undefined;
}

/** For every certificate but a trusted root, whose own signature proves nothing. */
export function checkAlgorithm(cert: CertInfo): PathRefusal | undefined {
  return cert.signatureAlgorithmOk
    ? undefined
    : refuse('WEAK_ALG', `${cert.signatureAlgorithm} of '${cert.subject}'`);
}

/** For end entities and proxies: where a certificate restricts its use, the wanted one must be allowed. */
export function checkExtendedUsage(cert: CertInfo, options: PathOptions): PathRefusal | undefined {
  const { usage } = options;
  const allowed = cert.extendedKeyUsage;
  if (usage === undefined || allowed === undefined) return undefined;
  return allowed.includes(usage) || allowed.includes(ANY_USAGE)
    ? undefined
    : refuse('EKU', `'${cert.subject}' allows only ${allowed.join(', ')}`);
}

/** Whether the key may make signatures other than on certificates. */
export const maySign = (cert: CertInfo): boolean =>
  cert.keyUsage === undefined || cert.keyUsage.includes('digitalSignature');
