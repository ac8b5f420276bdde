import type { KeyObject } from 'node:crypto';
import type { CertInfo } from '../../core/pki/cert.ts';
import type { AttributeCertificate } from '../../core/vo/attributes.ts';
import {
  algorithmOf,
  authorityKeyId,
  extension,
  keyIdOf,
  randomSerial,
  signed,
} from './certificate-writer.ts';
import { verifies } from './crl.ts';
import {
  childrenOf,
  context,
  contextTag,
  type Der,
  DerError,
  fieldsOf,
  generalizedTime,
  integer,
  nullValue,
  octetString,
  oid,
  primitive,
  primitiveTag,
  readBitBytes,
  readDer,
  readIntegerBytes,
  readOid,
  readSmallInteger,
  readTime,
  sequence,
  set,
  TAG,
  tlv,
} from './der.ts';
import { OID } from './oids.ts';
import { readCertificate, readCertificateParts, readExtensions } from './x509.ts';

/** What a VO signs for a member. */
export interface AttributeTemplate {
  /** The member's end-entity certificate. */
  readonly holder: CertInfo;
  /** The VO's signer; RSA, because ARC verifies nothing else here. */
  readonly signer: { readonly certificate: CertInfo; readonly key: KeyObject };
  readonly vo: string;
  /** `host:port` of the VO service, for the URI. */
  readonly address: string;
  readonly fqans: readonly string[];
  readonly nowMs: number;
  readonly notAfterMs: number;
}

/** Clocks of readers may be behind. */
const BACKDATE_MS = 300_000;

/** A VOMS attribute certificate, DER, in the encoding that VOMS, ARC and the Java clients all accept. */
export function makeAttributeCertificate(template: AttributeTemplate): Uint8Array {
  const { holder, signer, fqans, nowMs, notAfterMs } = template;
  const member = readCertificateParts(holder.der);
  const issuer = readCertificateParts(signer.certificate.der);
  const uri = Buffer.from(`${template.vo}://${template.address}`, 'latin1');
  const attribute = sequence(
    oid(OID.vomsFqans),
    set(
      sequence(
        context(0, primitive(6, uri)),
        sequence(...fqans.map((fqan) => octetString(Buffer.from(fqan, 'utf8')))),
      ),
    ),
  );
  const algorithm = algorithmOf(signer.key);
  const notBeforeMs = Math.max(nowMs - BACKDATE_MS, holder.notBeforeMs);
  const info = sequence(
    integer(1),
    // The holder's subject where RFC 5755 wants its issuer: all of VOMS does so, and ARC accepts nothing else.
    sequence(context(0, sequence(context(4, member.subject)), tlv(TAG.integer, member.serial))),
    context(0, sequence(context(4, issuer.subject))),
    algorithm,
    tlv(TAG.integer, randomSerial()),
    sequence(generalizedTime(notBeforeMs), generalizedTime(notAfterMs)),
    sequence(attribute),
    sequence(
      extension(OID.vomsCerts, false, sequence(sequence(signer.certificate.der))),
      extension(OID.noRevAvail, false, nullValue()),
      authorityKeyId(keyIdOf(issuer.publicKey)),
    ),
  );
  return signed(info, signer.key);
}

/** The proxy extension that carries attribute certificates. */
export const attributesExtension = (certificates: readonly Uint8Array[]): Uint8Array =>
  extension(OID.vomsAcs, false, sequence(sequence(...certificates)));

/** Attribute certificates (DER) that a certificate carries; empty for none; throws DerError. */
export function carriedAttributes(cert: CertInfo): readonly Uint8Array[] {
  const carrier = readCertificateParts(cert.der).extensions.get(OID.vomsAcs);
  if (carrier === undefined) return [];
  const [list, ...more] = childrenOf(readDer(carrier.value));
  if (list === undefined || more.length > 0) throw new DerError('bad list of attributes');
  return childrenOf(list).map(({ raw }) => raw);
}

/** Attribute certificate (DER) -> its facts; throws DerError or CERT_INVALID. */
export function readAttributeCertificate(der: Uint8Array): AttributeCertificate {
  const outer = fieldsOf(readDer(der));
  const info = outer.next(TAG.sequence);
  const algorithm = outer.next(TAG.sequence).raw;
  const signature = readBitBytes(outer.next());
  outer.end();
  const fields = fieldsOf(info);
  if (readSmallInteger(fields.next()) !== 1) throw new DerError('attributes are not of version 2');
  const holder = readHolder(fields.next());
  const issuer = readOneName(readDer(fields.next(contextTag(0)).value));
  const innerAlgorithm = fields.next(TAG.sequence).raw;
  readIntegerBytes(fields.next());
  const validity = fieldsOf(fields.next());
  const notBeforeMs = readTime(validity.next(TAG.generalizedTime));
  const notAfterMs = readTime(validity.next(TAG.generalizedTime));
  validity.end();
  const granted = readFqans(fields.next(TAG.sequence));
  fields.optional(TAG.bitString);
  const extensions = readExtensions(fields.optional(TAG.sequence));
  fields.end();
  const signerChain = readSignerChain(extensions.get(OID.vomsCerts)?.value);
  const [signer] = signerChain;
  return {
    ...holder,
    ...granted,
    issuerKey: hex(issuer),
    notBeforeMs,
    notAfterMs,
    extensions: [...extensions.keys()],
    criticalExtensions: [...extensions].filter(([, item]) => item.critical).map(([type]) => type),
    signerChain,
    signatureOk:
      signer !== undefined &&
      Buffer.compare(algorithm, innerAlgorithm) === 0 &&
      verifies(info.raw, algorithm, signature, readCertificateParts(signer.der).publicKey),
  };
}

/** `SEQUENCE { [0] { GeneralNames, serial } }`. */
function readHolder(der: Der): Pick<AttributeCertificate, 'holderKey' | 'holderSerial'> {
  const holder = fieldsOf(der);
  const base = fieldsOf(holder.next(contextTag(0)), contextTag(0));
  const name = readOneName(base.next(TAG.sequence));
  const serial = readIntegerBytes(base.next());
  base.end();
  holder.end();
  return { holderKey: hex(name), holderSerial: hex(serial) };
}

/** GeneralNames of exactly one directoryName -> Name (DER). */
function readOneName(names: Der): Uint8Array {
  const list = fieldsOf(names);
  const name = readDer(list.next(contextTag(4)).value, TAG.sequence).raw;
  list.end();
  return name;
}

/** `IetfAttrSyntax` of the FQAN attribute; other attributes are of no concern. */
function readFqans(attributes: Der): Pick<AttributeCertificate, 'vo' | 'fqans'> {
  const own = childrenOf(attributes)
    .map((attribute) => fieldsOf(attribute))
    .filter((fields) => readOid(fields.next()) === OID.vomsFqans);
  const [first, ...more] = own.flatMap((fields) => childrenOf(fields.next(), TAG.set));
  if (first === undefined || more.length > 0) throw new DerError('not one set of FQANs');
  const syntax = fieldsOf(first);
  const authority = fieldsOf(syntax.next(contextTag(0)), contextTag(0));
  const uri = Buffer.from(authority.next(primitiveTag(6)).value).toString('latin1');
  authority.end();
  const fqans = childrenOf(syntax.next()).map((item) => {
    if (item.tag !== TAG.octetString) throw new DerError('an FQAN is no octet string');
    return Buffer.from(item.value).toString('latin1');
  });
  syntax.end();
  return { vo: /^([^:/]+):\/\//.exec(uri)?.[1], fqans };
}

function readSignerChain(value: Uint8Array | undefined): readonly CertInfo[] {
  if (value === undefined) return [];
  const [list, ...more] = childrenOf(readDer(value));
  if (list === undefined || more.length > 0) throw new DerError('bad list of signers');
  return childrenOf(list).map(({ raw }) => readCertificate(raw));
}

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');
