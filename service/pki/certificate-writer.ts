import { createHash, type KeyObject, randomBytes, sign } from 'node:crypto';
import { isIPv4, isIPv6 } from 'node:net';
import type { KeyUsage } from '../../core/pki/cert.ts';
import {
  bitFlags,
  bitString,
  boolean,
  childrenOf,
  context,
  integer,
  nullValue,
  octetString,
  oid,
  primitive,
  readBitBytes,
  readDer,
  sequence,
  TAG,
  time,
  tlv,
} from './der.ts';
import { OID } from './oids.ts';
import { keyUsageBits } from './x509.ts';

/** What an issuer puts into a certificate. */
export interface CertificateTemplate {
  /** Name, DER (`nameFromDn` makes one). */
  readonly subject: Uint8Array;
  /** SubjectPublicKeyInfo, DER. */
  readonly publicKey: Uint8Array;
  /** Positive, at most 20 bytes; random where absent. */
  readonly serial?: Uint8Array;
  readonly notBeforeMs: number;
  readonly notAfterMs: number;
  readonly extensions: readonly Uint8Array[];
}

/** Who signs: Name (DER) and private key. */
export interface Issuer {
  readonly name: Uint8Array;
  readonly key: KeyObject;
}

/** A signed v3 certificate, DER. */
export function makeCertificate(template: CertificateTemplate, issuer: Issuer): Uint8Array {
  const tbs = sequence(
    context(0, integer(2)),
    tlv(TAG.integer, template.serial ?? randomSerial()),
    algorithmOf(issuer.key),
    issuer.name,
    sequence(time(template.notBeforeMs), time(template.notAfterMs)),
    template.subject,
    template.publicKey,
    context(3, sequence(...template.extensions)),
  );
  return signed(tbs, issuer.key);
}

/** 128 bits, positive, not padded, and never the same length as a small one (Globus and OpenSSL take them). */
export function randomSerial(): Uint8Array {
  const serial = randomBytes(16);
  serial[0] = ((serial[0] ?? 0) & 0x7f) | 0x40;
  return serial;
}

/** SHA-2 as strong as the key (RFC 5758); RSA is PKCS #1 v1.5, because grid software takes nothing else. */
function suiteOf(key: KeyObject): { readonly algorithm: Uint8Array; readonly hash: string | null } {
  const curve = key.asymmetricKeyDetails?.namedCurve;
  switch (`${key.asymmetricKeyType ?? 'secret'} ${curve ?? ''}`.trim()) {
    case 'rsa':
      return { algorithm: sequence(oid('1.2.840.113549.1.1.11'), nullValue()), hash: 'sha256' };
    case 'ec prime256v1':
      return { algorithm: sequence(oid('1.2.840.10045.4.3.2')), hash: 'sha256' };
    case 'ec secp384r1':
      return { algorithm: sequence(oid('1.2.840.10045.4.3.3')), hash: 'sha384' };
    case 'ec secp521r1':
      return { algorithm: sequence(oid('1.2.840.10045.4.3.4')), hash: 'sha512' };
    case 'ed25519':
      return { algorithm: sequence(oid('1.3.101.112')), hash: null };
    default:
      throw new TypeError(`keys of kind '${key.asymmetricKeyType} ${curve}' cannot sign here`);
  }
}

/** AlgorithmIdentifier of the signatures that `key` makes. */
export const algorithmOf = (key: KeyObject): Uint8Array => suiteOf(key).algorithm;

/** `SEQUENCE { tbs, algorithm, signature }`: certificates, CRLs and attribute certificates. */
export function signed(tbs: Uint8Array, key: KeyObject): Uint8Array {
  const { algorithm, hash } = suiteOf(key);
  return sequence(tbs, algorithm, bitString(sign(hash, tbs, key)));
}

/** SubjectPublicKeyInfo of a key (of the public half, for a private one is not accepted), DER. */
export const spkiOf = (publicKey: KeyObject): Uint8Array =>
  publicKey.export({ type: 'spki', format: 'der' });

/** RFC 5280, 4.2.1.2 (1): SHA-1 of the key's bits. An identifier, not a protection. */
export function keyIdOf(spki: Uint8Array): Uint8Array {
  const [, bits] = childrenOf(readDer(spki));
  if (bits === undefined) throw new TypeError('no public key info');
  return createHash('sha1').update(readBitBytes(bits)).digest();
}

// ---- extensions ----

/** An Extension, DER; `value` is the DER that the OCTET STRING wraps. */
export const extension = (type: string, critical: boolean, value: Uint8Array): Uint8Array =>
  sequence(oid(type), ...(critical ? [boolean(true)] : []), octetString(value));

/** Critical; `pathLength` counts the authorities below. */
export const basicConstraints = (isCa: boolean, pathLength?: number): Uint8Array =>
  extension(
    OID.basicConstraints,
    true,
    sequence(
      ...(isCa ? [boolean(true)] : []),
      ...(pathLength === undefined ? [] : [integer(pathLength)]),
    ),
  );

export const keyUsage = (...usages: readonly KeyUsage[]): Uint8Array =>
  extension(OID.keyUsage, true, bitFlags(keyUsageBits(usages)));

/** Usages by OID (`OID.clientAuth`, `OID.serverAuth`). */
export const extendedKeyUsage = (...usages: readonly string[]): Uint8Array =>
  extension(OID.extendedKeyUsage, false, sequence(...usages.map(oid)));

export const subjectKeyId = (spki: Uint8Array): Uint8Array =>
  extension(OID.subjectKeyId, false, octetString(keyIdOf(spki)));

/** By the identifier of the issuer's key (`keyIdOf` of its SPKI, or what its certificate says). */
export const authorityKeyId = (issuerKeyId: Uint8Array): Uint8Array =>
  extension(OID.authorityKeyId, false, sequence(primitive(0, issuerKeyId)));

/** Host names and addresses (`127.0.0.1`, `::1`) as people write them. */
export function subjectAltName(names: readonly string[]): Uint8Array {
  const general = names.map((name) =>
    isIPv4(name) || isIPv6(name)
      ? primitive(7, ipBytes(name))
      : primitive(2, Buffer.from(name, 'latin1')),
  );
  return extension(OID.subjectAltName, false, sequence(...general));
}

const words = (part: string | undefined): readonly string[] =>
  part === undefined || part === '' ? [] : part.split(':');

function ipBytes(address: string): Uint8Array {
  if (isIPv4(address)) return Uint8Array.from(address.split('.').map(Number));
  const [head = '', tail] = new URL(`http://[${address}]`).hostname.slice(1, -1).split('::');
  const zeros = 8 - words(head).length - words(tail).length;
  const all = [...words(head), ...Array.from({ length: zeros }, () => '0'), ...words(tail)];
  return Buffer.from(all.map((word) => word.padStart(4, '0')).join(''), 'hex');
}

/** RFC 3820 proxyCertInfo, critical as it must be; `language` is an OID. */
export const proxyCertInfo = (language: string, pathLength?: number): Uint8Array =>
  extension(
    OID.proxyCertInfo,
    true,
    sequence(...(pathLength === undefined ? [] : [integer(pathLength)]), sequence(oid(language))),
  );
