import { createHash, createPublicKey, type KeyObject, X509Certificate } from 'node:crypto';
import { GridError } from '../../core/errors.ts';
import type { CertInfo, KeyUsage, ProxyInfo } from '../../core/pki/cert.ts';
import {
  childrenOf,
  contextTag,
  type Der,
  DerError,
  fieldsOf,
  primitiveTag,
  readBitBytes,
  readBitFlags,
  readBoolean,
  readDer,
  readIntegerBytes,
  readOid,
  readSmallInteger,
  readTime,
  TAG,
} from './der.ts';
import { formatName, readName } from './name.ts';
import { OID } from './oids.ts';
import { pemBlocks } from './pem.ts';

/** The parts of a certificate as bytes, for those who sign, hash or copy them. */
export interface CertificateParts {
  readonly tbs: Uint8Array;
  readonly version: number;
  /** Two's complement, as in the certificate. */
  readonly serial: Uint8Array;
  readonly issuer: Uint8Array;
  readonly subject: Uint8Array;
  readonly notBeforeMs: number;
  readonly notAfterMs: number;
  readonly publicKey: Uint8Array;
  readonly extensions: Extensions;
  /** AlgorithmIdentifiers inside and outside of what is signed. */
  readonly innerAlgorithm: Uint8Array;
  readonly outerAlgorithm: Uint8Array;
}

/** By OID; `value` is what the OCTET STRING wraps. */
export type Extensions = ReadonlyMap<
  string,
  { readonly critical: boolean; readonly value: Uint8Array }
>;

/** Certificate (DER) -> its parts; throws DerError. */
export function readCertificateParts(der: Uint8Array): CertificateParts {
  const certificate = fieldsOf(readDer(der));
  const tbs = certificate.next(TAG.sequence);
  const outerAlgorithm = certificate.next(TAG.sequence).raw;
  readBitBytes(certificate.next());
  certificate.end();
  const fields = fieldsOf(tbs);
  const version = fields.optional(contextTag(0));
  const serial = readIntegerBytes(fields.next());
  const innerAlgorithm = fields.next(TAG.sequence).raw;
  const issuer = fields.next(TAG.sequence).raw;
  const validity = fieldsOf(fields.next());
  const notBeforeMs = readTime(validity.next());
  const notAfterMs = readTime(validity.next());
  validity.end();
  const subject = fields.next(TAG.sequence).raw;
  const publicKey = fields.next(TAG.sequence).raw;
  fields.optional(primitiveTag(1));
  fields.optional(primitiveTag(2));
  const extensions = readExtensions(fields.optional(contextTag(3)));
  fields.end();
  return {
    tbs: tbs.raw,
    version: version === undefined ? 1 : readSmallInteger(readDer(version.value)) + 1,
    serial,
    issuer,
    subject,
    notBeforeMs,
    notAfterMs,
    publicKey,
    extensions,
    innerAlgorithm,
    outerAlgorithm,
  };
}

/** The `[n] EXPLICIT Extensions` of a certificate or CRL, or a bare Extensions sequence. */
export function readExtensions(wrapped: Der | undefined): Extensions {
  const found = new Map<string, { critical: boolean; value: Uint8Array }>();
  if (wrapped === undefined) return found;
  const list = wrapped.tag === TAG.sequence ? wrapped : readDer(wrapped.value);
  for (const item of childrenOf(list)) {
    const fields = fieldsOf(item);
    const type = readOid(fields.next());
    const flag = fields.optional(TAG.boolean);
    const value = fields.next(TAG.octetString).value;
    fields.end();
    if (found.has(type)) throw new DerError(`extension ${type} twice`);
    found.set(type, { critical: flag !== undefined && readBoolean(flag), value });
  }
  return found;
}

const SIGNATURES: ReadonlyMap<string, string> = new Map([
  ['1.2.840.113549.1.1.11', 'sha256-rsa'],
  ['1.2.840.113549.1.1.12', 'sha384-rsa'],
  ['1.2.840.113549.1.1.13', 'sha512-rsa'],
  ['1.2.840.10045.4.3.2', 'sha256-ecdsa'],
  ['1.2.840.10045.4.3.3', 'sha384-ecdsa'],
  ['1.2.840.10045.4.3.4', 'sha512-ecdsa'],
  ['1.3.101.112', 'ed25519'],
]);

/** Name of an AlgorithmIdentifier where it is acceptable (no SHA-1, no MD5, no PSS), else its OID. */
export function signatureName(algorithm: Uint8Array): {
  readonly name: string;
  readonly ok: boolean;
} {
  const type = readOid(fieldsOf(readDer(algorithm)).next());
  const name = SIGNATURES.get(type);
  return { name: name ?? type, ok: name !== undefined };
}

const CURVES = new Set(['prime256v1', 'secp384r1', 'secp521r1']);

/** Kind and weakness of a subject public key info (DER); a key that cannot be read is weak. */
export function describeKey(spki: Uint8Array): {
  readonly keyKind: string;
  readonly keyWeak: boolean;
} {
  let key: KeyObject;
  try {
    key = createPublicKey({ key: Buffer.from(spki), format: 'der', type: 'spki' });
  } catch {
    return { keyKind: 'unknown', keyWeak: true };
  }
  const kind = key.asymmetricKeyType ?? 'unknown';
  const details = key.asymmetricKeyDetails ?? {};
  if (kind === 'rsa') return describeRsa(details.modulusLength ?? 0, details.publicExponent ?? 0n);
  if (kind === 'ec') {
    const curve = details.namedCurve ?? 'unknown';
    return { keyKind: `ec-${curve}`, keyWeak: !CURVES.has(curve) };
  }
  return { keyKind: kind, keyWeak: kind !== 'ed25519' };
}

function describeRsa(bits: number, exponent: bigint): { keyKind: string; keyWeak: boolean } {
  const small = exponent < 65_537n;
  // Beyond 8192 bits one verification costs more than a handshake should.
  const keyWeak = bits < 2048 || bits > 8192 || small;
  return { keyKind: `rsa-${bits}${small ? `-e${exponent}` : ''}`, keyWeak };
}

const KEY_USAGES: readonly KeyUsage[] = [
  'digitalSignature',
  'nonRepudiation',
  'keyEncipherment',
  'dataEncipherment',
  'keyAgreement',
  'keyCertSign',
  'cRLSign',
];

/** Bits of a KeyUsage extension by name, in the order of RFC 5280, 4.2.1.3. */
export const keyUsageBits = (usages: readonly KeyUsage[]): readonly number[] =>
  usages.map((usage) => KEY_USAGES.indexOf(usage));

function readBasicConstraints(value: Uint8Array): Pick<CertInfo, 'isCa' | 'caPathLength'> {
  const fields = fieldsOf(readDer(value));
  const flag = fields.optional(TAG.boolean);
  const length = fields.optional(TAG.integer);
  fields.end();
  return {
    isCa: flag !== undefined && readBoolean(flag),
    ...(length === undefined ? {} : { caPathLength: readSmallInteger(length) }),
  };
}

const LANGUAGES: ReadonlyMap<string, Exclude<ProxyInfo['language'], object>> = new Map([
  [OID.inheritAll, 'inherit-all'],
  [OID.independent, 'independent'],
  [OID.limited, 'limited'],
]);

/** RFC 3820, 3.8: `SEQUENCE { pCPathLenConstraint INTEGER OPTIONAL, SEQUENCE { policyLanguage, policy OPTIONAL } }`. */
function readProxyInfo(value: Uint8Array, critical: boolean): ProxyInfo {
  const fields = fieldsOf(readDer(value));
  const length = fields.optional(TAG.integer);
  const policy = fieldsOf(fields.next());
  fields.end();
  const language = readOid(policy.next());
  const body = policy.optional(TAG.octetString);
  policy.end();
  return {
    critical,
    ...(length === undefined ? {} : { pathLength: readSmallInteger(length) }),
    language: LANGUAGES.get(language) ?? { oid: language },
    hasPolicyBody: body !== undefined,
  };
}

function readAltNames(value: Uint8Array): Pick<CertInfo, 'dnsNames' | 'ipAddresses'> {
  const names = childrenOf(readDer(value));
  const dnsNames = names
    .filter(({ tag }) => tag === primitiveTag(2))
    .map((name) => Buffer.from(name.value).toString('latin1'));
  const ipAddresses = names.filter(({ tag }) => tag === primitiveTag(7)).map(formatIp);
  return { dnsNames, ipAddresses };
}

function formatIp({ value }: Der): string {
  if (value.length === 4) return value.join('.');
  if (value.length !== 16) throw new DerError('bad address in an alternative name');
  const groups = Buffer.from(value).toString('hex').match(/.{4}/g) ?? [];
  return new URL(`http://[${groups.join(':')}]`).hostname.slice(1, -1);
}

function readUsages(
  extensions: Extensions,
): Pick<CertInfo, 'keyUsage' | 'extendedKeyUsage' | 'proxy'> {
  const usage = extensions.get(OID.keyUsage);
  const extended = extensions.get(OID.extendedKeyUsage);
  const proxy = extensions.get(OID.proxyCertInfo);
  const bits = usage === undefined ? undefined : readBitFlags(readDer(usage.value));
  return {
    ...(bits === undefined ? {} : { keyUsage: KEY_USAGES.filter((_, bit) => bits.has(bit)) }),
    ...(extended === undefined
      ? {}
      : { extendedKeyUsage: childrenOf(readDer(extended.value)).map((item) => readOid(item)) }),
    ...(proxy === undefined ? {} : { proxy: readProxyInfo(proxy.value, proxy.critical) }),
  };
}

function infoOf(der: Uint8Array): CertInfo {
  const parts = readCertificateParts(der);
  const { extensions } = parts;
  const signature = signatureName(parts.outerAlgorithm);
  const sameAlgorithm = Buffer.compare(parts.innerAlgorithm, parts.outerAlgorithm) === 0;
  const constraints = extensions.get(OID.basicConstraints);
  const altName = extensions.get(OID.subjectAltName);
  return {
    der,
    version: parts.version,
    serial: hex(parts.serial),
    subject: formatName(parts.subject),
    issuer: formatName(parts.issuer),
    subjectKey: hex(parts.subject),
    issuerKey: hex(parts.issuer),
    subjectRdns: readName(parts.subject).map(({ raw, attributes }) => ({
      der: hex(raw),
      oids: attributes.map((attribute) => attribute.oid),
    })),
    notBeforeMs: parts.notBeforeMs,
    notAfterMs: parts.notAfterMs,
    signatureAlgorithm: signature.name,
    signatureAlgorithmOk: signature.ok && sameAlgorithm,
    ...describeKey(parts.publicKey),
    keySha256: createHash('sha256').update(parts.publicKey).digest('hex'),
    ...(constraints === undefined ? { isCa: false } : readBasicConstraints(constraints.value)),
    ...readUsages(extensions),
    ...(altName === undefined ? { dnsNames: [], ipAddresses: [] } : readAltNames(altName.value)),
    hasAltName: altName !== undefined || extensions.has(OID.issuerAltName),
    criticalExtensions: [...extensions]
      .filter(([, { critical }]) => critical)
      .map(([type]) => type),
    extensions: [...extensions.keys()],
  };
}

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');

/** Certificate (DER) -> facts; throws CERT_INVALID, also for what only OpenSSL refuses. */
export function readCertificate(der: Uint8Array): CertInfo {
  try {
    const info = infoOf(der);
    void new X509Certificate(der);
    return info;
  } catch (error) {
    const reason = error instanceof DerError ? error.message : 'OpenSSL cannot read it';
    throw new GridError('CERT_INVALID', `this is no certificate: ${reason}`, { cause: error });
  }
}

/** All certificates of a PEM text in order; throws CERT_INVALID. */
export function certificatesFromPem(text: string): readonly CertInfo[] {
  return pemBlocks(text)
    .filter(({ label }) => label === 'CERTIFICATE' || label === 'X509 CERTIFICATE')
    .map(({ der }) => readCertificate(der));
}

/** Whether `parent`'s key made `child`'s signature; names are not looked at. */
export function signedBy(child: CertInfo, parent: CertInfo): boolean {
  try {
    return new X509Certificate(child.der).verify(new X509Certificate(parent.der).publicKey);
  } catch {
    return false;
  }
}
