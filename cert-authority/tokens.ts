import { createPublicKey, randomUUID } from 'node:crypto';
import { errors, type JWTPayload, jwtVerify, SignJWT } from 'jose';
import { GridError } from '../core/errors.ts';
import type { Dn } from '../core/ids.ts';
import { formatName } from '../core/pki/name.ts';
import { type Entitlement, isProfileName, subjectOf } from '../core/pki/profile.ts';
import { TOKEN_TYPE } from '../service/pki/enrolment-token.ts';
import type { AuthorityKeys } from './keys.ts';

const DAY_MS = 86_400_000;
const DEFAULT_LIFETIME_MS = DAY_MS;
const MAX_LIFETIME_MS = 30 * DAY_MS;
/** A token is about 700 bytes; a host with many names has more. */
const MAX_TOKEN_LENGTH = 8_192;

/** A one-time enrolment token. */
export interface Token {
  readonly token: string;
  readonly dn: Dn;
  readonly expiresAtMs: number;
}

/**
 * Signs a token for `wanted` with the authority's own key: whoever has it, and nobody else, may enrol that name once.
 * `lifetimeMs` 0 means a day; more than 30 days, and names that may not be certified, are REQUEST_INVALID.
 */
export async function makeToken(
  keys: AuthorityKeys,
  request: {
    readonly wanted: Entitlement;
    /** `host:port` where the token is to be used. */
    readonly address: string;
    readonly lifetimeMs: number;
    readonly nowMs: number;
  },
): Promise<Token> {
  const { wanted } = request;
  const dn = formatName(subjectOf(keys.base, wanted));
  const lifetimeMs = request.lifetimeMs > 0 ? request.lifetimeMs : DEFAULT_LIFETIME_MS;
  if (lifetimeMs > MAX_LIFETIME_MS) {
    throw new GridError('REQUEST_INVALID', 'a token lives for at most 30 days');
  }
  const issuedAt = Math.floor(request.nowMs / 1_000);
  const expiresAt = issuedAt + Math.ceil(lifetimeMs / 1_000);
  const token = await new SignJWT({
    profile: wanted.profile,
    cn: wanted.commonName,
    alt: [...wanted.altNames],
  })
    .setProtectedHeader({ alg: algorithmOf(keys), typ: TOKEN_TYPE, 'x5t#S256': keys.fingerprint })
    .setIssuer(keys.certificate.subject)
    .setAudience(request.address)
    .setSubject(dn)
    .setJti(randomUUID())
    .setIssuedAt(issuedAt)
    .setExpirationTime(expiresAt)
    .sign(keys.key);
  return { token, dn, expiresAtMs: expiresAt * 1_000 };
}

/** What a token that holds entitles to; whether it has been used before is the ledger's business. */
export interface CheckedToken {
  readonly jti: string;
  readonly wanted: Entitlement;
}

/** Checks signature, type, authority, address and time; throws TOKEN_INVALID. */
export async function checkToken(
  keys: AuthorityKeys,
  token: string,
  at: { readonly address: string; readonly nowMs: number },
): Promise<CheckedToken> {
  const { jti, sub, ...claims } = await verifiedClaims(keys, token, at);
  const { profile, cn, alt } = claims;
  if (
    typeof jti !== 'string' ||
    typeof profile !== 'string' ||
    !isProfileName(profile) ||
    typeof cn !== 'string' ||
    !isStringArray(alt)
  ) {
    throw new GridError('TOKEN_INVALID', 'the token does not say for whom it is');
  }
  const wanted: Entitlement = { profile, commonName: cn, altNames: alt };
  if (formatName(subjectOf(keys.base, wanted)) !== sub) {
    throw new GridError('TOKEN_INVALID', 'the token names two different subjects');
  }
  return { jti, wanted };
}

async function verifiedClaims(
  keys: AuthorityKeys,
  token: string,
  at: { readonly address: string; readonly nowMs: number },
): Promise<JWTPayload> {
  if (token.length > MAX_TOKEN_LENGTH)
    throw new GridError('TOKEN_INVALID', 'the token is too long');
  try {
    const { payload } = await jwtVerify(token, createPublicKey(keys.key), {
      algorithms: [algorithmOf(keys)],
      typ: TOKEN_TYPE,
      issuer: keys.certificate.subject,
      audience: at.address,
      requiredClaims: ['exp', 'iat', 'jti', 'sub'],
      currentDate: new Date(at.nowMs),
    });
    return payload;
  } catch (error) {
    throw new GridError('TOKEN_INVALID', whyNot(error, at.address), { cause: error });
  }
}

function whyNot(error: unknown, address: string): string {
  if (error instanceof errors.JWTExpired) return 'the token has expired';
  if (error instanceof errors.JWTClaimValidationFailed && error.claim === 'aud') {
    return `the token is for another address than ${address}`;
  }
  return 'the token was not made by this authority';
}

const CURVE_ALGORITHMS: Readonly<Record<string, string>> = {
  prime256v1: 'ES256',
  secp384r1: 'ES384',
  secp521r1: 'ES512',
};

/** The one algorithm of the authority's key: a token that names another is refused. */
function algorithmOf({ key }: AuthorityKeys): string {
  if (key.asymmetricKeyType === 'rsa') return 'RS256';
  return CURVE_ALGORITHMS[key.asymmetricKeyDetails?.namedCurve ?? ''] ?? 'EdDSA';
}

const isStringArray = (value: unknown): value is readonly string[] =>
  Array.isArray(value) && value.every((item) => typeof item === 'string');
