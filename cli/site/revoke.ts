import { type ErrorCode, GridError } from '../../core/errors.ts';
import { openCa } from '../authority-client.ts';
import type { Context } from '../context.ts';

/** What was revoked, and words for people. */
interface Revoked {
  readonly serials: readonly string[];
  readonly words: string;
}

/** A site may be removed by one who does not administer the authority, or while that is away. */
const NOT_NOW: readonly ErrorCode[] = ['PERMISSION_DENIED', 'NOT_CONFIGURED', 'UNAVAILABLE'];

/** Revokes every good certificate of a host; where that is not ours to do the words say who must do what. */
export async function revokeCertificates(context: Context, dn: string): Promise<Revoked> {
  const { signal } = context;
  try {
    using ca = await openCa(context);
    const { certificates } = await ca.call.listCertificates({ dn }, { signal });
    const good = certificates.filter(
      ({ revokedAtMs, notAfterMs }) => revokedAtMs === 0 && notAfterMs > Date.now(),
    );
    for (const { serial } of good)
      await ca.call.revoke({ serial, reason: 'cessation-of-operation' }, { signal });
    const serials = good.map(({ serial }) => serial);
    const what = serials.length === 1 ? 'its certificate is' : `${serials.length} certificates are`;
    return { serials, words: `${what} revoked` };
  } catch (error) {
    if (!(error instanceof GridError) || !NOT_NOW.includes(error.code)) throw error;
    const words = `its certificate is not revoked (${error.message}): an administrator of the authority runs \`grid ca ls --dn '${dn}'\` and \`grid ca revoke SERIAL\``;
    return { serials: [], words };
  }
}
