import { type ErrorCode, GridError } from '../../core/errors.ts';
import { openCa } from '../certs/authority-client.ts';
import type { Context } from '../context.ts';

/** What was revoked, and words for people. */
interface Revoked {
  readonly serials: readonly string[];
  readonly words: string;
}

/** A site may be removed by one who does not administer the authority, or while that is away. */
const NOT_NOW: readonly ErrorCode[] = [
  'PERMISSION_DENIED',
  'NOT_CONFIGURED',
  'TRUST_MISSING',
  'UNAVAILABLE',
];

/**
 * Revokes the good certificate of a host. Where there are several nothing is revoked: other services of that machine, the
 * authority itself for one, may have the same name. The words say then, and where it is not ours to do, who must do what.
 */
export async function revokeCertificates(context: Context, dn: string): Promise<Revoked> {
  const { signal } = context;
  try {
    using ca = await openCa(context);
    const { certificates } = await ca.call.listCertificates({ dn }, { signal });
    const good = certificates.filter(
      ({ revokedAtMs, notAfterMs }) => revokedAtMs === 0 && notAfterMs > Date.now(),
    );
    const [only] = good;
    if (only === undefined)
      return { serials: [], words: 'it has no certificate that is still good' };
    const list = `\`grid ca ls --dn '${dn}'\``;
    if (good.length > 1) {
      const words = `${good.length} good certificates are of ${dn}, maybe of other services there: none is revoked, see ${list}`;
      return { serials: [], words };
    }
    const { serial } = only;
    await ca.call.revoke({ serial, reason: 'cessation-of-operation' }, { signal });
    return { serials: [serial], words: 'its certificate is revoked' };
  } catch (error) {
    if (!(error instanceof GridError) || !NOT_NOW.includes(error.code)) throw error;
    const words = `its certificate is not revoked (${error.message}): an administrator of the authority runs \`grid ca ls --dn '${dn}'\` and \`grid ca revoke SERIAL\``;
    return { serials: [], words };
  }
}
