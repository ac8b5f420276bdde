import { decodeJwt, decodeProtectedHeader } from 'jose';
import { GridError } from '../../core/errors.ts';
import { isProfileName, type ProfileName } from '../../core/pki/profile.ts';

/** `typ` of an enrolment token's header. */
export const TOKEN_TYPE = 'enrol+jwt';

/** What a newcomer reads in a token before trusting anybody: where to go, and whom to expect there. */
export interface TokenHints {
  /** `host:port` of the authority. */
  readonly address: string;
  /** SHA-256 of the authority's certificate, base64url. */
  readonly fingerprint: string;
  /** Subject of the certificate that it will yield. */
  readonly dn: string;
  readonly commonName: string;
  readonly profile: ProfileName;
}

/** Reads a token without checking it (only the authority can); throws TOKEN_INVALID if it is none. */
export function peekToken(token: string): TokenHints {
  try {
    const header = decodeProtectedHeader(token);
    const claims = decodeJwt(token);
    const { aud: address, sub: dn } = claims;
    const fingerprint = header['x5t#S256'];
    const { cn: commonName, profile } = claims;
    if (
      header.typ === TOKEN_TYPE &&
      typeof address === 'string' &&
      typeof dn === 'string' &&
      typeof commonName === 'string' &&
      typeof profile === 'string' &&
      isProfileName(profile) &&
      typeof fingerprint === 'string'
    ) {
      return { address, fingerprint, dn, commonName, profile };
    }
  } catch (error) {
    throw new GridError('TOKEN_INVALID', 'this is no enrolment token: is it complete?', {
      cause: error,
    });
  }
  throw new GridError('TOKEN_INVALID', 'this token is not for enrolling at an authority');
}
