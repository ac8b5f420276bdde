import type { Dn } from '../ids.ts';
import type { CertInfo } from '../pki/cert.ts';
import type { PathOptions, Trust } from '../pki/options.ts';
import { validateEndEntity } from '../pki/path.ts';
import { describeRefusal } from '../pki/refusals.ts';
import { formatInstant } from '../units.ts';
import { type Fqan, parseFqan } from './fqan.ts';

/** Facts of a VOMS attribute certificate (RFC 5755, GFD.182); service/pki/attribute-cert.ts reads them out of DER. */
export interface AttributeCertificate {
  /** DER of the holder's name in hex, and the holder's serial as in CertInfo. */
  readonly holderKey: string;
  readonly holderSerial: string;
  /** DER of the signer's name in hex. */
  readonly issuerKey: string;
  readonly notBeforeMs: number;
  readonly notAfterMs: number;
  /** As its policy authority says, unchecked; undefined where it has none. */
  readonly vo: string | undefined;
  /** As signed, unchecked. */
  readonly fqans: readonly string[];
  /** OIDs of all its extensions, and of the critical ones. */
  readonly extensions: readonly string[];
  readonly criticalExtensions: readonly string[];
  /** Certificates of the signer that came with it, signer first. */
  readonly signerChain: readonly CertInfo[];
  /** Whether the signer's key made the signature, by an accepted algorithm. */
  readonly signatureOk: boolean;
}

/** Why attributes give no rights. Codes are stable. */
export const ATTRIBUTE_REFUSALS = {
  AC_UNREADABLE: 'the attribute certificate cannot be read',
  AC_VO: 'the name of the VO is none',
  AC_HOLDER: 'the attributes were granted to another certificate',
  AC_EXPIRED: 'the attributes have ended',
  AC_NOT_YET_VALID: 'the attributes are not valid yet',
  AC_LIFETIME: 'the attributes live longer than 7 days',
  AC_TARGETS: 'the attributes are meant for certain services only',
  AC_CRITICAL_EXTENSION: 'a critical extension is not understood',
  AC_NO_SIGNER: 'the certificate of the signer is missing',
  AC_LSC: 'the signer is no VOMS server of the VO (no .lsc file names it)',
  AC_SIGNER: 'the certificate of the signer is refused',
  AC_SIGNATURE: 'the signature is not by the signer',
  AC_FQAN: 'an attribute is not of the VO that signed it',
} as const;
export type AttributeCode = keyof typeof ATTRIBUTE_REFUSALS;

/** A no: its code and the values that it is about. */
export interface AttributeRefusal {
  readonly kind: 'refused';
  readonly code: AttributeCode;
  readonly detail: string;
}

export type AttributeVerdict =
  | { readonly kind: 'granted'; readonly fqans: readonly Fqan[]; readonly expiresAtMs: number }
  | AttributeRefusal;

export const refuseAttributes = (code: AttributeCode, detail = ''): AttributeRefusal => ({
  kind: 'refused',
  code,
  detail,
});

/** `AC_HOLDER: the attributes were granted to another certificate: vo 'atlas'`. */
export const describeAttributeRefusal = ({ code, detail }: AttributeRefusal): string =>
  `${code}: ${ATTRIBUTE_REFUSALS[code]}${detail === '' ? '' : `: ${detail}`}`;

/** What attributes are judged by. */
export interface AttributeContext {
  readonly endEntity: CertInfo;
  readonly trust: Trust;
  readonly options: PathOptions;
  /** What the VO's .lsc files say: DNs of a signer and of the authorities above it, signer first. */
  readonly lsc: readonly (readonly Dn[])[];
}

const MAX_LIFETIME_MS = 7 * 86_400_000;
const TARGETS = '2.5.29.55';
/** Extensions that may be critical; a signer never revokes what lives a day (noRevAvail). */
const UNDERSTOOD = new Set(['2.5.29.35', '2.5.29.56', '1.3.6.1.4.1.8005.100.100.10']);

/** Whether a VO name can be a directory of .lsc files. */
export const isAttributeVo = (text: string): boolean =>
  /^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/.test(text);

/** Which FQANs an attribute certificate gives its holder: all of them or, with the reason, none. */
export function judgeAttributes(
  attributes: AttributeCertificate,
  context: AttributeContext,
): AttributeVerdict {
  const { vo } = attributes;
  if (vo === undefined || !isAttributeVo(vo)) return refuseAttributes('AC_VO', `'${vo ?? ''}'`);
  const refusal =
    checkHolder(attributes, context.endEntity) ??
    checkDates(attributes, context.options) ??
    checkExtensions(attributes) ??
    checkSigner(attributes, vo, context);
  if (refusal !== undefined) return refusal;
  const fqans: Fqan[] = [];
  for (const text of attributes.fqans) {
    const fqan = parseFqan(text);
    if (fqan?.vo !== vo) return refuseAttributes('AC_FQAN', `'${text}' by vo '${vo}'`);
    fqans.push(fqan);
  }
  return { kind: 'granted', fqans, expiresAtMs: attributes.notAfterMs };
}

function checkHolder(
  attributes: AttributeCertificate,
  endEntity: CertInfo,
): AttributeRefusal | undefined {
  // RFC 5755 names the holder by its issuer and serial; VOMS writes its subject in the issuer's place.
  const named =
    attributes.holderKey === endEntity.subjectKey || attributes.holderKey === endEntity.issuerKey;
  return named && attributes.holderSerial === endEntity.serial
    ? undefined
    : refuseAttributes('AC_HOLDER', `serial ${attributes.holderSerial}, vo '${attributes.vo}'`);
}

function checkDates(
  { notBeforeMs, notAfterMs }: AttributeCertificate,
  { nowMs, skewMs }: PathOptions,
): AttributeRefusal | undefined {
  if (nowMs - skewMs > notAfterMs) return refuseAttributes('AC_EXPIRED', formatInstant(notAfterMs));
  if (nowMs + skewMs < notBeforeMs) {
    return refuseAttributes('AC_NOT_YET_VALID', formatInstant(notBeforeMs));
  }
  return notAfterMs - notBeforeMs > MAX_LIFETIME_MS ? refuseAttributes('AC_LIFETIME') : undefined;
}

function checkExtensions(attributes: AttributeCertificate): AttributeRefusal | undefined {
  if (attributes.extensions.includes(TARGETS)) return refuseAttributes('AC_TARGETS');
  const unknown = attributes.criticalExtensions.find((type) => !UNDERSTOOD.has(type));
  return unknown === undefined ? undefined : refuseAttributes('AC_CRITICAL_EXTENSION', unknown);
}

function checkSigner(
  attributes: AttributeCertificate,
  vo: string,
  { trust, options, lsc }: AttributeContext,
): AttributeRefusal | undefined {
  const [signer, ...above] = attributes.signerChain;
  if (signer === undefined || signer.subjectKey !== attributes.issuerKey) {
    return refuseAttributes('AC_NO_SIGNER', `vo '${vo}'`);
  }
  const names = namesUp(signer, above, trust);
  if (!lsc.some((wanted) => isPrefix(wanted, names))) {
    return refuseAttributes('AC_LSC', `'${signer.subject}', vo '${vo}'`);
  }
  if (signer.proxy !== undefined || signer.keyUsage?.includes('digitalSignature') === false) {
    return refuseAttributes('AC_SIGNER', `'${signer.subject}' may not sign`);
  }
  const way = validateEndEntity(signer, above, trust, { ...options, usage: undefined });
  if (way.kind === 'refused') return refuseAttributes('AC_SIGNER', describeRefusal(way));
  return attributes.signatureOk
    ? undefined
    : refuseAttributes('AC_SIGNATURE', `'${signer.subject}'`);
}

/** DNs from the signer up to a root, by name only. */
function namesUp(signer: CertInfo, above: readonly CertInfo[], trust: Trust): readonly Dn[] {
  const pool = [...trust.anchors.map(({ cert }) => cert), ...above];
  const names = [signer.subject];
  let at: CertInfo | undefined = signer;
  while (at !== undefined && at.subjectKey !== at.issuerKey && names.length < 12) {
    const { issuer, issuerKey }: CertInfo = at;
    names.push(issuer);
    at = pool.find((cert) => cert.subjectKey === issuerKey);
  }
  return names;
}

/** At least the signer and its authority must be named. */
const isPrefix = (wanted: readonly Dn[], names: readonly Dn[]): boolean =>
  wanted.length >= 2 && wanted.every((name, at) => name === names[at]);
