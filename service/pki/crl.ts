import { createPublicKey, verify } from 'node:crypto';
import { GridError } from '../../core/errors.ts';
import type { CertInfo, CrlInfo } from '../../core/pki/cert.ts';
import {
  algorithmOf,
  authorityKeyId,
  extension,
  type Issuer,
  signed,
} from './certificate-writer.ts';
import {
  childrenOf,
  contextTag,
  type Der,
  DerError,
  fieldsOf,
  integer,
  readBitBytes,
  readDer,
  readIntegerBytes,
  readTime,
  sequence,
  TAG,
  time,
  tlv,
} from './der.ts';
import { OID } from './oids.ts';
import { pemBlocks } from './pem.ts';
import { readCertificateParts, readExtensions, signatureName } from './x509.ts';

/** RFC 5280, 5.3.1. */
const REASONS = {
  keyCompromise: 1,
  cACompromise: 2,
  affiliationChanged: 3,
  superseded: 4,
  cessationOfOperation: 5,
  certificateHold: 6,
  privilegeWithdrawn: 9,
} as const;

/** Why a certificate was revoked; `unspecified` is said by saying nothing. */
export type RevocationReason = keyof typeof REASONS | 'unspecified';

/** An entry of a CRL. */
interface Revocation {
  /** Hex, as in CertInfo. */
  readonly serial: string;
  readonly revokedAtMs: number;
  readonly reason?: RevocationReason;
}

/** What a CRL is made of. */
export interface CrlTemplate {
  /** Grows with every CRL of the authority. */
  readonly number: number | bigint;
  readonly thisUpdateMs: number;
  readonly nextUpdateMs: number;
  readonly revoked: readonly Revocation[];
  /** Identifier of the authority's key, as its certificate has it. */
  readonly authorityKeyId: Uint8Array;
}

/** A complete CRL of version 2, DER; its PEM label is `X509 CRL`. */
export function makeCrl(template: CrlTemplate, issuer: Issuer): Uint8Array {
  const entries = template.revoked.map(({ serial, revokedAtMs, reason = 'unspecified' }) =>
    sequence(
      tlv(TAG.integer, Buffer.from(serial, 'hex')),
      time(revokedAtMs),
      ...(reason === 'unspecified' ? [] : [sequence(reasonCode(REASONS[reason]))]),
    ),
  );
  const extensions = [
    authorityKeyId(template.authorityKeyId),
    extension(OID.crlNumber, false, integer(template.number)),
  ];
  const tbs = sequence(
    integer(1),
    algorithmOf(issuer.key),
    issuer.name,
    time(template.thisUpdateMs),
    time(template.nextUpdateMs),
    // RFC 5280, 5.1.2.6: absent, not empty, when nothing is revoked.
    ...(entries.length === 0 ? [] : [sequence(...entries)]),
    tlv(contextTag(0), sequence(...extensions)),
  );
  return signed(tbs, issuer.key);
}

const reasonCode = (code: number): Uint8Array =>
  extension(OID.reasonCode, false, tlv(TAG.enumerated, [code]));

/** The DER of a CRL file, which may be PEM or DER. */
export function crlDerOf(file: Uint8Array): Uint8Array {
  return pemBlocks(Buffer.from(file).toString('latin1'))[0]?.der ?? file;
}

/** CRL (DER) -> its facts, checked against the authority's key; throws CERT_INVALID. */
export function readCrl(der: Uint8Array, authority: CertInfo): CrlInfo {
  try {
    return infoOf(der, authority);
  } catch (error) {
    const reason = error instanceof DerError ? error.message : 'it cannot be read';
    throw new GridError('CERT_INVALID', `this is no revocation list: ${reason}`, { cause: error });
  }
}

function infoOf(der: Uint8Array, authority: CertInfo): CrlInfo {
  const outer = fieldsOf(readDer(der));
  const tbs = outer.next(TAG.sequence);
  const algorithm = outer.next(TAG.sequence).raw;
  const signature = readBitBytes(outer.next());
  outer.end();
  const fields = fieldsOf(tbs);
  fields.optional(TAG.integer);
  const innerAlgorithm = fields.next(TAG.sequence).raw;
  const issuer = fields.next(TAG.sequence).raw;
  const thisUpdateMs = readTime(fields.next());
  const next = fields.optional(TAG.utcTime, TAG.generalizedTime);
  const list = fields.optional(TAG.sequence);
  const extensions = readExtensions(fields.optional(contextTag(0)));
  fields.end();
  const number = extensions.get(OID.crlNumber);
  const critical = [...extensions].filter(([, item]) => item.critical).map(([type]) => type);
  const { revoked, criticalEntries } = readEntries(list);
  return {
    issuerKey: hex(issuer),
    thisUpdateMs,
    nextUpdateMs: next === undefined ? 0 : readTime(next),
    revoked,
    ...(number === undefined
      ? {}
      : { crlNumber: BigInt(`0x${hex(readIntegerBytes(readDer(number.value)))}`) }),
    criticalExtensions: [...critical, ...criticalEntries],
    signatureOk:
      Buffer.compare(algorithm, innerAlgorithm) === 0 &&
      verifies(tbs.raw, algorithm, signature, readCertificateParts(authority.der).publicKey),
  };
}

function readEntries(list: Der | undefined): {
  readonly revoked: ReadonlyMap<string, number>;
  readonly criticalEntries: ReadonlySet<string>;
} {
  const revoked = new Map<string, number>();
  // A critical extension of an entry (certificateIssuer) would change what the entry is about.
  const criticalEntries = new Set<string>();
  for (const entry of list === undefined ? [] : childrenOf(list)) {
    const fields = fieldsOf(entry);
    const serial = hex(readIntegerBytes(fields.next()));
    revoked.set(serial, readTime(fields.next()));
    for (const [type, { critical }] of readExtensions(fields.optional(TAG.sequence))) {
      if (critical) criticalEntries.add(type);
    }
    fields.end();
  }
  return { revoked, criticalEntries };
}

/** Whether `signature` over `tbs` was made with the key, by an algorithm that is accepted. */
export function verifies(
  tbs: Uint8Array,
  algorithm: Uint8Array,
  signature: Uint8Array,
  spki: Uint8Array,
): boolean {
  const { name, ok } = signatureName(algorithm);
  if (!ok) return false;
  try {
    const key = createPublicKey({ key: Buffer.from(spki), format: 'der', type: 'spki' });
    return verify(name === 'ed25519' ? null : name.slice(0, 'sha256'.length), tbs, key, signature);
  } catch {
    return false;
  }
}

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');
