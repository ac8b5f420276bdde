/**
 * Why a certificate chain is refused. A code is stable: logs, tests and `grid cert doctor` name it. `sentence` says what
 * was found, `remedy` what the owner of the certificate (or, where only they can, the administrator) does about it.
 * docs/errors.md is made from this table.
 */
export const PATH_REFUSALS = {
  NO_CERT: {
    sentence: 'no certificate was presented',
    remedy: 'run `grid login`',
  },
  BAD_DER: {
    sentence: 'a certificate cannot be read',
    remedy: 'get the certificate again: the file is damaged',
  },
  CHAIN_TOO_LONG: {
    sentence: 'the chain has too many certificates',
    remedy: 'delegate less often: make a new proxy from the certificate with `grid login`',
  },
  // Any certificate.
  NOT_V3: {
    sentence: 'the certificate is not of X.509 version 3',
    remedy: 'ask the authority for a certificate of version 3',
  },
  WEAK_ALG: {
    sentence: 'the certificate is signed with an algorithm that is not accepted',
    remedy: 'ask the authority for a certificate signed with SHA-256 or better',
  },
  WEAK_KEY: {
    sentence: 'the key is not accepted (RSA of 2048 to 8192 bits, P-256 to P-521 or Ed25519 are)',
    remedy: 'make a new key: `grid cert request`',
  },
  EXPIRED: {
    sentence: 'the certificate has ended',
    remedy: 'run `grid login` for a new proxy, or renew the certificate',
  },
  NOT_YET_VALID: {
    sentence: 'the certificate is not valid yet',
    remedy: 'check the clocks of both machines',
  },
  CRITICAL_EXTENSION: {
    sentence: 'the certificate has a critical extension that is not understood',
    remedy: 'ask the authority for a certificate without it',
  },
  KEY_USAGE: {
    sentence: 'the key usage does not allow signatures',
    remedy: 'ask the authority for a certificate with digitalSignature',
  },
  EKU: {
    sentence: 'the extended key usage does not allow what the certificate is used for',
    remedy: 'ask the authority for a certificate with clientAuth',
  },
  EEC_IS_CA: {
    sentence: 'the certificate of an authority is no identity',
    remedy: 'present the certificate of a person, host or robot',
  },
  NO_SUBJECT: {
    sentence: 'the certificate has no subject name',
    remedy: 'ask the authority for a certificate with a distinguished name',
  },
  // Authorities.
  UNTRUSTED_ISSUER: {
    sentence: 'the issuer is not among the trusted authorities',
    remedy: 'use a certificate of a trusted authority, or ask the administrator to trust this one',
  },
  ISSUER_NOT_CA: {
    sentence: 'the issuer is not an authority',
    remedy: 'use a certificate that an authority has issued',
  },
  CA_PATHLEN: {
    sentence: 'the authority may not have that many authorities below it',
    remedy: 'tell the authority: its path length is too small for its sub-authorities',
  },
  CA_KEY_USAGE: {
    sentence: 'the key usage of the authority does not allow to sign certificates',
    remedy: 'tell the authority: its certificate lacks keyCertSign',
  },
  NAME_CONSTRAINTS: {
    sentence: 'the authority has name constraints, which are not understood',
    remedy: 'use a certificate of an authority without name constraints',
  },
  BAD_SIGNATURE: {
    sentence: 'the signature is not by the issuer that is named',
    remedy: 'get the certificate again; if it is right, the trusted copy of the authority is old',
  },
  NO_SIGNING_POLICY: {
    sentence: 'there is no signing policy for the authority',
    remedy: 'ask the administrator to install its .signing_policy file',
  },
  NAMESPACE: {
    sentence: 'the signing policy does not let the authority sign this name',
    remedy: 'ask the authority for a name of its own name space',
  },
  // Revocation.
  NO_CRL: {
    sentence: 'there is no revocation list of the authority',
    remedy: 'ask the administrator to fetch the revocation list (.r0 file)',
  },
  CRL_EXPIRED: {
    sentence: 'the revocation list of the authority is out of date',
    remedy: 'ask the administrator to fetch the revocation list again',
  },
  CRL_NOT_YET_VALID: {
    sentence: 'the revocation list of the authority is from the future',
    remedy: 'ask the administrator to check the clock',
  },
  CRL_SIGNATURE: {
    sentence: 'the revocation list is not signed by the authority',
    remedy: 'ask the administrator to fetch the revocation list again',
  },
  CRL_KEY_USAGE: {
    sentence: 'the key usage of the authority does not allow to sign revocation lists',
    remedy: 'tell the authority: its certificate lacks cRLSign',
  },
  CRL_CRITICAL_EXTENSION: {
    sentence: 'the revocation list has a critical extension that is not understood',
    remedy: 'ask the administrator for a complete revocation list (no delta, no partition)',
  },
  REVOKED: {
    sentence: 'the certificate has been revoked',
    remedy: 'ask the authority for a new certificate',
  },
  // Proxies (RFC 3820).
  PROXY_WITHOUT_EEC: {
    sentence: 'the chain has proxies but not the certificate that they come from',
    remedy: 'send the whole proxy file: run `grid login` again',
  },
  PROXY_ABOVE_EEC: {
    sentence: 'a proxy stands where only authorities may',
    remedy: 'run `grid login` again',
  },
  PROXY_LEGACY: {
    sentence: 'proxies older than RFC 3820 are not accepted',
    remedy: 'make the proxy with `grid login` or `grid-proxy-init -rfc`',
  },
  PROXY_DEPTH: {
    sentence: 'the credential has been delegated too often',
    remedy: 'run `grid login` for a proxy of the first level',
  },
  PROXY_PCI_NOT_CRITICAL: {
    sentence: 'the proxyCertInfo extension of the proxy is not critical',
    remedy: 'make the proxy with `grid login`',
  },
  PROXY_ISSUER: {
    sentence: 'the proxy was not issued by the certificate above it',
    remedy: 'send the chain that belongs to the proxy: run `grid login` again',
  },
  PROXY_SUBJECT: {
    sentence: 'the name of the proxy is not the name of its issuer and one CN',
    remedy: 'make the proxy with `grid login`',
  },
  PROXY_ISSUER_KEY_USAGE: {
    sentence: 'the key usage of the certificate does not allow to sign proxies',
    remedy: 'ask the authority for a certificate with digitalSignature',
  },
  PROXY_IS_CA: {
    sentence: 'a proxy claims to be an authority',
    remedy: 'make the proxy with `grid login`',
  },
  PROXY_KEY_USAGE: {
    sentence: 'the key usage of a proxy allows to sign certificates',
    remedy: 'make the proxy with `grid login`',
  },
  PROXY_ALT_NAME: {
    sentence: 'a proxy has an alternative name',
    remedy: 'make the proxy with `grid login`',
  },
  PROXY_LANGUAGE: {
    sentence: 'the policy language of the proxy is not understood',
    remedy: 'make a full or a limited proxy with `grid login`',
  },
  PROXY_POLICY: {
    sentence: 'the proxy has a policy body, which its language does not allow',
    remedy: 'make the proxy with `grid login`',
  },
  PROXY_INDEPENDENT: {
    sentence: 'an independent proxy has no rights of its owner',
    remedy: 'make a full or a limited proxy with `grid login`',
  },
  PROXY_LIMITED: {
    sentence: 'a full proxy stands below a limited one',
    remedy: 'delegate a limited proxy as limited',
  },
  PROXY_PATHLEN: {
    sentence: 'a proxy has more proxies below it than its path length allows',
    remedy: 'delegate from a proxy whose path length is not used up',
  },
  PROXY_LIFETIME: {
    sentence: 'the proxy lives longer than is accepted',
    remedy: 'make a proxy for at most 8 days: `grid login --hours 12`',
  },
} as const satisfies Record<string, { readonly sentence: string; readonly remedy: string }>;

/** Code of a refused chain. */
export type PathCode = keyof typeof PATH_REFUSALS;

/** A no: the code and the values that it is about. */
export interface PathRefusal {
  readonly kind: 'refused';
  readonly code: PathCode;
  /** Quotes names and values; may be empty. */
  readonly detail: string;
}

export const refuse = (code: PathCode, detail = ''): PathRefusal => ({
  kind: 'refused',
  code,
  detail,
});

/** `EXPIRED: the certificate has ended: '/CN=Alice' at 2026-11-23T09:16:05Z`. */
export function describeRefusal({ code, detail }: PathRefusal): string {
  const { sentence } = PATH_REFUSALS[code];
  return `${code}: ${sentence}${detail === '' ? '' : `: ${detail}`}`;
}
