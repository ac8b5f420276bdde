import type { Dn } from '../ids.ts';

/** The facts of a certificate that decisions need; service/pki/x509.ts reads them out of DER. */
export interface CertInfo {
  /** DER of the whole certificate, for signature checks at the edge; core never looks inside. */
  readonly der: Uint8Array;
  /** X.509 version as people say it: 3 is the only one accepted. */
  readonly version: number;
  /** Lower-case hex, as in the certificate (two's complement, no leading zeros dropped). */
  readonly serial: string;
  readonly subject: Dn;
  readonly issuer: Dn;
  /** DER of the names in hex: the only thing by which names are compared. */
  readonly subjectKey: string;
  readonly issuerKey: string;
  /** Relative distinguished names of the subject in order: DER in hex, and attribute OIDs. */
  readonly subjectRdns: readonly { readonly der: string; readonly oids: readonly string[] }[];
  readonly notBeforeMs: number;
  readonly notAfterMs: number;
  /** Name of the signature algorithm where it is acceptable (`sha256-rsa`, `sha256-ecdsa`, `ed25519`, ...), else its OID. */
  readonly signatureAlgorithm: string;
  /** False where the inner and the outer algorithm differ, or the algorithm is weak or unknown. */
  readonly signatureAlgorithmOk: boolean;
  /** `rsa-2048`, `ec-prime256v1`, `ed25519`, ... */
  readonly keyKind: string;
  /** RSA below 2048 bits or with e < 65537, unknown curves. */
  readonly keyWeak: boolean;
  /** SHA-256 of the subject public key info, hex. */
  readonly keySha256: string;
  readonly isCa: boolean;
  /** CA path length; undefined for no limit. */
  readonly caPathLength?: number;
  /** Undefined where the extension is absent. */
  readonly keyUsage?: readonly KeyUsage[];
  /** Extended key usages by OID; undefined where absent. */
  readonly extendedKeyUsage?: readonly string[];
  readonly dnsNames: readonly string[];
  readonly ipAddresses: readonly string[];
  readonly hasAltName: boolean;
  /** RFC 3820 proxyCertInfo. */
  readonly proxy?: ProxyInfo;
  /** OIDs of extensions that are marked critical. */
  readonly criticalExtensions: readonly string[];
  /** OIDs of all extensions. */
  readonly extensions: readonly string[];
}

export type KeyUsage =
  | 'digitalSignature'
  | 'nonRepudiation'
  | 'keyEncipherment'
  | 'dataEncipherment'
  | 'keyAgreement'
  | 'keyCertSign'
  | 'cRLSign';

export interface ProxyInfo {
  readonly critical: boolean;
  /** How many proxies may follow below; undefined for no limit. */
  readonly pathLength?: number;
  readonly language: 'inherit-all' | 'independent' | 'limited' | { readonly oid: string };
  readonly hasPolicyBody: boolean;
}

/** A parsed certificate revocation list. */
export interface CrlInfo {
  readonly issuerKey: string;
  readonly thisUpdateMs: number;
  /** 0 where absent, which is refused. */
  readonly nextUpdateMs: number;
  /** Serial (hex, as in CertInfo) -> when revoked. */
  readonly revoked: ReadonlyMap<string, number>;
  readonly crlNumber?: bigint;
  /** OIDs of extensions that are marked critical: none is understood. */
  readonly criticalExtensions: readonly string[];
  /** Whether the signature of the authority verified. */
  readonly signatureOk: boolean;
}

/** A trusted authority with what limits it. */
export interface Anchor {
  readonly cert: CertInfo;
  /** Subject patterns of the signing policy (`/DC=org/DC=example/*`); undefined where there is no policy file. */
  readonly subjectPatterns?: readonly string[];
  readonly crl?: CrlInfo;
}
