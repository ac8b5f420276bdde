import { formatInstant } from '../units.ts';
import type { Anchor, CertInfo } from './cert.ts';
import type { PathOptions } from './options.ts';
import { type PathRefusal, refuse } from './refusals.ts';

/** Whether `cert`, issued by `authority`, has been revoked. Fails closed: no answer is a no. */
export function checkRevocation(
  cert: CertInfo,
  authority: Anchor,
  options: PathOptions,
): PathRefusal | undefined {
  const { nowMs, skewMs } = options;
  const name = `'${authority.cert.subject}'`;
  const { crl } = authority;
  if (crl === undefined) return options.crl === 'require' ? refuse('NO_CRL', name) : undefined;
  if (authority.cert.keyUsage?.includes('cRLSign') === false) return refuse('CRL_KEY_USAGE', name);
  if (!crl.signatureOk || crl.issuerKey !== authority.cert.subjectKey) {
    return refuse('CRL_SIGNATURE', name);
  }
  const [critical] = crl.criticalExtensions;
  if (critical !== undefined) return refuse('CRL_CRITICAL_EXTENSION', `${critical} of ${name}`);
  if (nowMs + skewMs < crl.thisUpdateMs) {
    return refuse('CRL_NOT_YET_VALID', `${name} from ${formatInstant(crl.thisUpdateMs)} on`);
  }
  // A list without an end (0) would be good for ever to whoever holds back the next one.
  if (nowMs - skewMs > crl.nextUpdateMs) {
    return refuse('CRL_EXPIRED', `${name} since ${formatInstant(crl.nextUpdateMs)}`);
  }
  const revokedAtMs = crl.revoked.get(cert.serial);
  return revokedAtMs === undefined
    ? undefined
    : refuse('REVOKED', `'${cert.subject}' at ${formatInstant(revokedAtMs)}`);
}
