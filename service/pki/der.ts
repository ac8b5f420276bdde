/**
 * DER (X.690): a strict reader and a writer for the few types that certificates are made of. Strict because two
 * readings of the same bytes are how certificates are forged: indefinite, overlong and long-form-tag encodings,
 * trailing bytes and padded numbers are all refused.
 */

/** Bytes that are not DER, or not the structure that was expected. Stays inside the X.509 readers. */
export class DerError extends Error {
  override readonly name = 'DerError';
}

/** One value: `raw` is all of it, `value` what the tag and length wrap. */
export interface Der {
  readonly tag: number;
  readonly raw: Uint8Array;
  readonly value: Uint8Array;
}

export const TAG = {
  boolean: 0x01,
  integer: 0x02,
  bitString: 0x03,
  octetString: 0x04,
  null: 0x05,
  oid: 0x06,
  enumerated: 0x0a,
  utf8String: 0x0c,
  printableString: 0x13,
  t61String: 0x14,
  ia5String: 0x16,
  utcTime: 0x17,
  generalizedTime: 0x18,
  bmpString: 0x1e,
  sequence: 0x30,
  set: 0x31,
} as const;

/** Constructed context tag `[n]` (EXPLICIT, or IMPLICIT over a constructed type). */
export const contextTag = (n: number): number => 0xa0 | n;
/** Primitive context tag `[n]`. */
export const primitiveTag = (n: number): number => 0x80 | n;

// ---- reading ----

function readAt(bytes: Uint8Array, start: number): Der {
  const tag = bytes[start];
  const first = bytes[start + 1];
  if (tag === undefined || first === undefined) throw new DerError('ends within a header');
  if ((tag & 0x1f) === 0x1f) throw new DerError('long-form tag');
  let header = 2;
  let length = first;
  if (first >= 0x80) {
    const octets = first & 0x7f;
    if (octets === 0 || octets > 4) throw new DerError('indefinite or huge length');
    length = 0;
    for (let i = 0; i < octets; i += 1) length = length * 256 + (bytes[start + 2 + i] ?? 0);
    header += octets;
    if (length < 0x80 || length < 256 ** (octets - 1)) throw new DerError('padded length');
  }
  const end = start + header + length;
  if (end > bytes.length) throw new DerError('ends within a value');
  return { tag, raw: bytes.subarray(start, end), value: bytes.subarray(start + header, end) };
}

/** The one value that `bytes` are; anything behind it is refused. */
export function readDer(bytes: Uint8Array, tag?: number): Der {
  const der = readAt(bytes, 0);
  if (der.raw.length !== bytes.length) throw new DerError('bytes after the end');
  return tag === undefined ? der : expectTag(der, tag);
}

/** The values inside a constructed one of the given tag. */
export function childrenOf(der: Der, tag: number = TAG.sequence): readonly Der[] {
  expectTag(der, tag);
  const children: Der[] = [];
  for (let at = 0; at < der.value.length; ) {
    const child = readAt(der.value, at);
    children.push(child);
    at += child.raw.length;
  }
  return children;
}

/** Takes the fields of a sequence in order. */
export interface Fields {
  /** The next field; throws unless it has one of the tags (any, when none is given). */
  next(...tags: number[]): Der;
  /** The next field if it has one of the tags. */
  optional(...tags: number[]): Der | undefined;
  /** Throws unless all fields were taken. */
  end(): void;
}

export function fieldsOf(der: Der, tag: number = TAG.sequence): Fields {
  const children = childrenOf(der, tag);
  let at = 0;
  const optional = (...tags: number[]): Der | undefined => {
    const child = children[at];
    if (child === undefined || (tags.length > 0 && !tags.includes(child.tag))) return undefined;
    at += 1;
    return child;
  };
  return {
    optional,
    next: (...tags) => {
      const child = optional(...tags);
      if (child === undefined) throw new DerError(`field ${at + 1} is missing or of another type`);
      return child;
    },
    end: () => {
      if (at < children.length) throw new DerError(`unexpected field ${at + 1}`);
    },
  };
}

function expectTag(der: Der, tag: number): Der {
  if (der.tag !== tag) throw new DerError(`tag ${der.tag} where ${tag} belongs`);
  return der;
}

/** INTEGER as its two's complement bytes; padding is refused. */
export function readIntegerBytes(der: Der, tag: number = TAG.integer): Uint8Array {
  const { value } = expectTag(der, tag);
  const [first, second] = value;
  if (first === undefined) throw new DerError('empty integer');
  const padded =
    second !== undefined && (first === 0 ? second < 0x80 : first === 0xff && second >= 0x80);
  if (padded) throw new DerError('padded integer');
  return value;
}

/** A number that must not be negative, at most 2^31 - 1. */
export function readSmallInteger(der: Der, tag: number = TAG.integer): number {
  const bytes = readIntegerBytes(der, tag);
  if (bytes.length > 4 || (bytes[0] ?? 0) >= 0x80) throw new DerError('number out of range');
  return bytes.reduce((sum, byte) => sum * 256 + byte, 0);
}

export function readBoolean(der: Der): boolean {
  const [byte, ...more] = expectTag(der, TAG.boolean).value;
  if (more.length > 0 || (byte !== 0 && byte !== 0xff)) throw new DerError('bad boolean');
  return byte === 0xff;
}

/** OBJECT IDENTIFIER in dotted form. */
export function readOid(der: Der, tag: number = TAG.oid): string {
  const { value } = expectTag(der, tag);
  const arcs: bigint[] = [];
  let arc = 0n;
  let fresh = true;
  for (const byte of value) {
    if (fresh && byte === 0x80) throw new DerError('padded object identifier');
    arc = arc * 128n + BigInt(byte & 0x7f);
    fresh = byte < 0x80;
    if (fresh) {
      arcs.push(arc);
      arc = 0n;
    }
  }
  const [first, ...rest] = arcs;
  if (!fresh || first === undefined || value.length > 64)
    throw new DerError('bad object identifier');
  const top = first < 80n ? first / 40n : 2n;
  return [top, first - top * 40n, ...rest].join('.');
}

/** BIT STRING of whole bytes (signatures, keys). */
export function readBitBytes(der: Der): Uint8Array {
  const { value } = expectTag(der, TAG.bitString);
  if (value[0] !== 0) throw new DerError('bit string does not end at a byte');
  return value.subarray(1);
}

/** Numbers of the bits that are set in a named BIT STRING. */
export function readBitFlags(der: Der): ReadonlySet<number> {
  const [unused = 8, ...bytes] = expectTag(der, TAG.bitString).value;
  if (unused > 7 || (bytes.length === 0 && unused > 0)) throw new DerError('bad bit string');
  const flags = new Set<number>();
  for (const [index, byte] of bytes.entries()) {
    for (let bit = 0; bit < 8; bit += 1)
      if ((byte & (0x80 >> bit)) !== 0) flags.add(index * 8 + bit);
  }
  return flags;
}

/** UTCTime or GeneralizedTime in the only form RFC 5280 allows (seconds, Z) -> ms since the epoch. */
export function readTime(der: Der): number {
  const text = fullTime(der);
  const ms = Date.parse(text.replace(/^(....)(..)(..)(..)(..)(..)$/, '$1-$2-$3T$4:$5:$6Z'));
  // Date.parse takes February 30 for March 2.
  if (Number.isNaN(ms) || compactTime(ms) !== text) throw new DerError('no such time');
  return ms;
}

/** `YYYYMMDDHHMMSS` of either kind of time. */
function fullTime(der: Der): string {
  const text = Buffer.from(der.value).toString('latin1');
  if (der.tag === TAG.generalizedTime && /^\d{14}Z$/.test(text)) return text.slice(0, -1);
  if (der.tag !== TAG.utcTime || !/^\d{12}Z$/.test(text)) throw new DerError('bad time');
  // RFC 5280, 4.1.2.5.1: two-digit years from 50 on are of the last century.
  return `${text < '50' ? '20' : '19'}${text.slice(0, -1)}`;
}

// ---- writing ----

type Bytes = Uint8Array | readonly number[];

/** Tag, shortest length, contents. */
export function tlv(tag: number, ...contents: readonly Bytes[]): Uint8Array {
  const value = Buffer.concat(contents.map((part) => Uint8Array.from(part)));
  const octets: number[] = [];
  for (let rest = value.length; rest > 0; rest = Math.floor(rest / 256)) octets.unshift(rest % 256);
  const length = value.length < 0x80 ? [value.length] : [0x80 | octets.length, ...octets];
  return Buffer.concat([Uint8Array.from([tag, ...length]), value]);
}

export const sequence = (...contents: readonly Bytes[]): Uint8Array =>
  tlv(TAG.sequence, ...contents);
export const set = (...contents: readonly Bytes[]): Uint8Array => tlv(TAG.set, ...contents);
export const context = (n: number, ...contents: readonly Bytes[]): Uint8Array =>
  tlv(contextTag(n), ...contents);
export const primitive = (n: number, contents: Bytes): Uint8Array => tlv(primitiveTag(n), contents);
export const octetString = (bytes: Bytes): Uint8Array => tlv(TAG.octetString, bytes);
export const bitString = (bytes: Bytes): Uint8Array => tlv(TAG.bitString, [0], bytes);
export const boolean = (value: boolean): Uint8Array => tlv(TAG.boolean, [value ? 0xff : 0]);
export const nullValue = (): Uint8Array => tlv(TAG.null);
export const text = (tag: number, value: string): Uint8Array =>
  tlv(tag, Buffer.from(value, 'utf8'));

/** A named BIT STRING; trailing zero bits are dropped, as DER wants it. */
export function bitFlags(bits: readonly number[]): Uint8Array {
  const last = Math.max(-1, ...bits);
  const bytes = new Uint8Array(Math.floor(last / 8) + 1);
  for (const bit of bits)
    bytes[Math.floor(bit / 8)] = (bytes[Math.floor(bit / 8)] ?? 0) | (0x80 >> (bit % 8));
  return tlv(TAG.bitString, [last < 0 ? 0 : 7 - (last % 8)], bytes);
}

/** A number that is not negative. */
export function integer(value: number | bigint): Uint8Array {
  const hex = BigInt(value).toString(16);
  const bytes = Buffer.from(hex.length % 2 === 0 ? hex : `0${hex}`, 'hex');
  return tlv(TAG.integer, (bytes[0] ?? 0) >= 0x80 ? [0] : [], bytes);
}

export function oid(dotted: string): Uint8Array {
  const [top = 0, second = 0, ...rest] = dotted.split('.').map(Number);
  const bytes = [top * 40 + second, ...rest].flatMap((arc) => {
    const septets = [arc % 128];
    for (let left = Math.floor(arc / 128); left > 0; left = Math.floor(left / 128)) {
      septets.unshift(0x80 | (left % 128));
    }
    return septets;
  });
  return tlv(TAG.oid, bytes);
}

/** UTCTime before 2050, GeneralizedTime from then on (RFC 5280, 4.1.2.5); whole seconds. */
export function time(ms: number): Uint8Array {
  return ms < Date.UTC(2050, 0) && ms >= Date.UTC(1950, 0)
    ? text(TAG.utcTime, `${compactTime(ms).slice(2)}Z`)
    : generalizedTime(ms);
}

export const generalizedTime = (ms: number): Uint8Array =>
  text(TAG.generalizedTime, `${compactTime(ms)}Z`);

const compactTime = (ms: number): string =>
  new Date(ms).toISOString().replace(/\.\d+Z$|[-:T]/g, '');
