import { createPublicKey, generateKeyPairSync, type KeyObject, sign } from 'node:crypto';
import type { Anchor, CertInfo } from '../../core/pki/cert.ts';
import {
  algorithmOf,
  authorityKeyId,
  basicConstraints,
  extendedKeyUsage,
  keyIdOf,
  keyUsage,
  proxyCertInfo,
  randomSerial,
  spkiOf,
  subjectAltName,
  subjectKeyId,
} from '../../service/pki/certificate-writer.ts';
import { type CrlTemplate, makeCrl, readCrl } from '../../service/pki/crl.ts';
import {
  bitString,
  childrenOf,
  context,
  integer,
  readDer,
  sequence,
  TAG,
  time,
  tlv,
} from '../../service/pki/der.ts';
import { nameFromDn, rdnOf } from '../../service/pki/name.ts';
import { OID } from '../../service/pki/oids.ts';
import { toPem } from '../../service/pki/pem.ts';
import { readCertificate, readCertificateParts } from '../../service/pki/x509.ts';
import { formatSigningPolicy, writeTrust } from '../../service/trust/trust-dir.ts';

/** Noon of a day: the clock of tests that need one that stands. */
export const NOON_MS = Date.UTC(2026, 5, 1, 12);
export const HOUR_MS = 3_600_000;
export const DAY_MS = 24 * HOUR_MS;

/** A certificate with its key. */
export interface Entity {
  readonly der: Uint8Array;
  readonly cert: CertInfo;
  readonly key: KeyObject;
}

/** Everything that can be said, or lied about, in a certificate. */
export interface Forgery {
  /** DN, or a Name in DER. */
  readonly subject: string | Uint8Array;
  readonly issuerName: Uint8Array;
  readonly signingKey: KeyObject;
  readonly key: KeyObject;
  readonly version: number;
  readonly serial: Uint8Array;
  readonly notBeforeMs: number;
  readonly notAfterMs: number;
  readonly extensions: readonly Uint8Array[];
  /** AlgorithmIdentifier inside; the outer one follows unless it is given. */
  readonly innerAlgorithm: Uint8Array;
  readonly outerAlgorithm: Uint8Array;
  readonly hash: string;
}

/** A new private key: P-256 unless another kind is named (`rsa-2048`, `ed25519`, or a curve). */
export function newKey(kind = 'prime256v1'): KeyObject {
  const [, bits] = /^rsa-(\d+)$/.exec(kind) ?? [];
  if (bits !== undefined)
    return generateKeyPairSync('rsa', { modulusLength: Number(bits) }).privateKey;
  if (kind === 'ed25519') return generateKeyPairSync('ed25519').privateKey;
  return generateKeyPairSync('ec', { namedCurve: kind }).privateKey;
}

export const spki = (key: KeyObject): Uint8Array => spkiOf(createPublicKey(key));

/** Signs what it is told to, whatever it is; `issuer` undefined makes it self-signed. */
export function forge(
  wanted: Partial<Forgery> & Pick<Forgery, 'subject'>,
  issuer?: Entity,
): Entity {
  const key = wanted.key ?? newKey();
  const subject = nameOf(wanted.subject);
  const signingKey = wanted.signingKey ?? issuer?.key ?? key;
  const above = issuer === undefined ? subject : readCertificateParts(issuer.der).subject;
  const all = {
    issuerName: above,
    version: 3,
    serial: randomSerial(),
    notBeforeMs: NOON_MS - DAY_MS,
    notAfterMs: NOON_MS + 30 * DAY_MS,
    extensions: [],
    innerAlgorithm: algorithmOf(signingKey),
    hash: 'sha256',
    ...wanted,
  };
  const tbs = tbsOf(all, subject, key);
  const hash = signingKey.asymmetricKeyType === 'ed25519' ? null : all.hash;
  const signature = bitString(sign(hash, tbs, signingKey));
  const der = sequence(tbs, wanted.outerAlgorithm ?? all.innerAlgorithm, signature);
  return { der, cert: readCertificate(der), key };
}

type Body = Omit<Forgery, 'subject' | 'key' | 'signingKey' | 'outerAlgorithm' | 'hash'>;

const tbsOf = (body: Body, subject: Uint8Array, key: KeyObject): Uint8Array =>
  sequence(
    ...(body.version === 1 ? [] : [context(0, integer(body.version - 1))]),
    tlv(TAG.integer, body.serial),
    body.innerAlgorithm,
    body.issuerName,
    sequence(time(body.notBeforeMs), time(body.notAfterMs)),
    subject,
    spki(key),
    ...(body.extensions.length === 0 ? [] : [context(3, sequence(...body.extensions))]),
  );

const nameOf = (subject: string | Uint8Array): Uint8Array => {
  const name = typeof subject === 'string' ? nameFromDn(subject) : subject;
  if (name === undefined) throw new TypeError(`no DN: ${String(subject)}`);
  return name;
};

type Details = Partial<Forgery>;

/** Identifiers of the certificate's and its issuer's keys. */
const keyIds = (key: KeyObject, issuer: Entity | undefined): readonly Uint8Array[] => [
  subjectKeyId(spki(key)),
  authorityKeyId(keyIdOf(spki(issuer?.key ?? key))),
];

/** An authority; below another one if `issuer` is given. */
export function makeAuthority(
  subject: string,
  details: Details & { readonly pathLength?: number } = {},
  issuer?: Entity,
): Entity {
  const key = details.key ?? newKey();
  const extensions = [
    basicConstraints(true, details.pathLength),
    keyUsage('keyCertSign', 'cRLSign'),
    ...keyIds(key, issuer),
  ];
  const lifetime = { notAfterMs: NOON_MS + 3_650 * DAY_MS };
  return forge({ subject, extensions, ...lifetime, ...details, key }, issuer);
}

/** A person (`clientAuth`). */
export function makeUser(authority: Entity, subject: string, details: Details = {}): Entity {
  const key = details.key ?? newKey();
  const extensions = [
    basicConstraints(false),
    keyUsage('digitalSignature', 'keyEncipherment'),
    extendedKeyUsage(OID.clientAuth),
    ...keyIds(key, authority),
  ];
  return forge({ subject, extensions, ...details, key }, authority);
}

/** A host (`serverAuth`, `clientAuth`, alternative names). */
export function makeHost(
  authority: Entity,
  subject: string,
  names: readonly string[],
  details: Details = {},
): Entity {
  const key = details.key ?? newKey();
  const extensions = [
    basicConstraints(false),
    keyUsage('digitalSignature', 'keyEncipherment'),
    extendedKeyUsage(OID.serverAuth, OID.clientAuth),
    subjectAltName(names),
    ...keyIds(key, authority),
  ];
  return forge({ subject, extensions, ...details, key }, authority);
}

export interface ProxyDetails extends Details {
  /** OID; full by default. */
  readonly language?: string;
  readonly pathLength?: number;
  /** Instead of key usage and proxyCertInfo. */
  readonly only?: readonly Uint8Array[];
  /** Besides them. */
  readonly more?: readonly Uint8Array[];
}

/** A proxy below an end entity or another proxy: 12 h from noon. */
export function makeTestProxy(issuer: Entity, details: ProxyDetails = {}): Entity {
  const key = details.key ?? newKey();
  const extensions = [
    ...(details.only ?? [
      keyUsage('digitalSignature'),
      proxyCertInfo(details.language ?? OID.inheritAll, details.pathLength),
    ]),
    ...(details.more ?? []),
    ...keyIds(key, issuer),
  ];
  const { only: _only, more: _more, language: _language, pathLength: _length, ...rest } = details;
  return forge(
    {
      subject: nameBelow(issuer, '12345'),
      notBeforeMs: NOON_MS - HOUR_MS,
      notAfterMs: NOON_MS + 12 * HOUR_MS,
      extensions,
      ...rest,
      key,
    },
    issuer,
  );
}

/** The issuer's subject and one CN. */
export function nameBelow(issuer: Entity, ...commonNames: readonly string[]): Uint8Array {
  const { subject } = readCertificateParts(issuer.der);
  const rdns = childrenOf(readDer(subject)).map(({ raw }) => raw);
  return sequence(...rdns, ...commonNames.map((name) => rdnOf('2.5.4.3', name)));
}

/** A CRL of an authority, DER: number 1, good for a day, nothing revoked. */
export const crlOf = (authority: Entity, details: Partial<CrlTemplate> = {}): Uint8Array =>
  makeCrl(
    {
      number: 1,
      thisUpdateMs: NOON_MS - HOUR_MS,
      nextUpdateMs: NOON_MS + DAY_MS,
      revoked: [],
      authorityKeyId: keyIdOf(spki(authority.key)),
      ...details,
    },
    { name: readCertificateParts(authority.der).subject, key: authority.key },
  );

/** The authority as a trust store knows it, with a policy for everything below `/DC=org/DC=test`. */
export const anchorOf = (authority: Entity, crl: Uint8Array = crlOf(authority)): Anchor => ({
  cert: authority.cert,
  subjectPatterns: ['/DC=org/DC=test/*'],
  crl: readCrl(crl, authority.cert),
});

/** Writes the authority's files in Globus layout. */
export const installIn = (
  dir: string,
  authority: Entity,
  crl: Uint8Array = crlOf(authority),
): Promise<void> =>
  writeTrust(dir, {
    certificatePem: pemOf(authority),
    crlPem: toPem('X509 CRL', crl),
    signingPolicy: formatSigningPolicy(authority.cert.subject, ['/DC=org/DC=test/*']),
  });

export const pemOf = (...entities: readonly Entity[]): string =>
  entities.map(({ der }) => toPem('CERTIFICATE', der)).join('');

export const keyPemOf = ({ key }: Entity): string =>
  key.export({ type: 'pkcs8', format: 'pem' }).toString();
