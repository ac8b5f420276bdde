import * as z from 'zod';
import { GridError } from '../../core/errors.ts';
import { isSiteId } from '../../core/ids.ts';
import { isDnText } from '../../core/pki/name.ts';

/** All that a machine needs to know to become a site: one word, for one use. */
export interface SiteToken {
  readonly site: string;
  /** Enrolment token of the authority, for the gateway's host certificate. */
  readonly enrolment: string;
  /** `host:port` of the broker. */
  readonly broker: string;
  /** DN of the broker: nobody else may give orders. */
  readonly brokerDn: string;
  /** `host:port` at which the broker looks for the gateway. */
  readonly address: string;
}

const address = z.string().regex(/^.+:\d{1,5}$/);
const SCHEMA = z.strictObject({
  v: z.literal(1),
  site: z.string().refine(isSiteId),
  enrolment: z.string().min(1),
  broker: address,
  brokerDn: z.string().refine(isDnText),
  address,
});

/** The word that `grid site enrol` takes. */
export const formatSiteToken = (token: SiteToken): string =>
  Buffer.from(JSON.stringify({ v: 1, ...token })).toString('base64url');

/** Reads it; throws TOKEN_INVALID. What it says is checked by the authority and the broker, later. */
export function parseSiteToken(text: string): SiteToken {
  const word = text.trim();
  if (/^[\w-]+\.[\w-]+\.[\w-]+$/.test(word))
    throw new GridError(
      'TOKEN_INVALID',
      'this token is for a certificate alone (`grid cert request`): a site needs one from `grid site invite`',
    );
  try {
    const { v: _, ...token } = SCHEMA.parse(
      JSON.parse(Buffer.from(word, 'base64url').toString('utf8')),
    );
    return token;
  } catch (error) {
    throw new GridError('TOKEN_INVALID', 'this is no token for a site: is it complete?', {
      cause: error,
    });
  }
}
