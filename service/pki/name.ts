import { type Dn, dn } from '../../core/ids.ts';
import {
  childrenOf,
  type Der,
  DerError,
  fieldsOf,
  oid,
  readDer,
  readOid,
  sequence,
  set,
  TAG,
  text,
} from './der.ts';

/** Attribute types by the names that OpenSSL prints. */
const NAME_OF_OID: ReadonlyMap<string, string> = new Map([
  ['0.9.2342.19200300.100.1.25', 'DC'],
  ['0.9.2342.19200300.100.1.1', 'UID'],
  ['1.2.840.113549.1.9.1', 'emailAddress'],
  ['2.5.4.3', 'CN'],
  ['2.5.4.4', 'SN'],
  ['2.5.4.5', 'serialNumber'],
  ['2.5.4.6', 'C'],
  ['2.5.4.7', 'L'],
  ['2.5.4.8', 'ST'],
  ['2.5.4.9', 'street'],
  ['2.5.4.10', 'O'],
  ['2.5.4.11', 'OU'],
  ['2.5.4.12', 'title'],
  ['2.5.4.42', 'GN'],
  ['2.5.4.46', 'dnQualifier'],
]);
/** Also by what other tools print or expect. */
const OID_OF_NAME: ReadonlyMap<string, string> = new Map([
  ...[...NAME_OF_OID].map(([dotted, name]): [string, string] => [name.toLowerCase(), dotted]),
  ['e', '1.2.840.113549.1.9.1'],
  ['email', '1.2.840.113549.1.9.1'],
  ['userid', '0.9.2342.19200300.100.1.1'],
]);
export const OID_CN = '2.5.4.3';

interface Attribute {
  readonly oid: string;
  readonly text: string;
}

/** A relative distinguished name: its DER, and its attributes (nearly always one). */
interface Rdn {
  readonly raw: Uint8Array;
  readonly attributes: readonly Attribute[];
}

/** Name (DER) -> its RDNs in order; throws DerError. */
export function readName(name: Uint8Array): readonly Rdn[] {
  return childrenOf(readDer(name)).map((rdn) => ({
    raw: rdn.raw,
    attributes: childrenOf(rdn, TAG.set).map((attribute) => {
      const fields = fieldsOf(attribute);
      const type = readOid(fields.next());
      const value = readString(fields.next());
      fields.end();
      return { oid: type, text: value };
    }),
  }));
}

function readString(der: Der): string {
  const bytes = Buffer.from(der.value);
  switch (der.tag) {
    case TAG.utf8String:
      try {
        return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
      } catch {
        throw new DerError('bad UTF-8 in a name');
      }
    case TAG.printableString:
    case TAG.ia5String:
    case TAG.t61String:
      return bytes.toString('latin1');
    case TAG.bmpString:
      if (bytes.length % 2 !== 0) throw new DerError('bad string in a name');
      return bytes.swap16().toString('utf16le');
    default:
      throw new DerError('unknown type of string in a name');
  }
}

// What could make one name look like another, or a log line like two: `/` and `\`, a `+` that would begin another
// attribute, control, format (bidi) and line separating characters.
const UNSAFE = /[/\\\p{Cc}\p{Cf}\p{Zl}\p{Zp}]|\+(?=[A-Za-z0-9.]+=)/gu;

const escapeValue = (value: string): string =>
  value.replace(UNSAFE, (char) =>
    [...Buffer.from(char, 'utf8')]
      .map((byte) => `\\x${byte.toString(16).toUpperCase().padStart(2, '0')}`)
      .join(''),
  );

/** Name (DER) -> `/DC=org/CN=Alice`: no two names with different attributes give the same text. */
export function formatName(name: Uint8Array): Dn {
  const parts = readName(name).map(({ attributes }) =>
    attributes
      .map((item) => `${NAME_OF_OID.get(item.oid) ?? item.oid}=${escapeValue(item.text)}`)
      .join('+'),
  );
  return dn(parts.map((part) => `/${part}`).join(''));
}

const IA5 = new Set(['0.9.2342.19200300.100.1.25', '1.2.840.113549.1.9.1']);
const PRINTABLE = new Set(['2.5.4.6', '2.5.4.5', '2.5.4.46']);

const stringTag = (type: string): number =>
  IA5.has(type) ? TAG.ia5String : PRINTABLE.has(type) ? TAG.printableString : TAG.utf8String;

/** One RDN of one attribute, DER. */
export const rdnOf = (type: string, value: string, tag: number = stringTag(type)): Uint8Array =>
  set(sequence(oid(type), text(tag, value)));

/**
 * `/DC=org/CN=Alice` -> Name (DER), undefined if it is no such text; `\xHH` stands for a byte, a part without `=`
 * belongs to the value before it (`/CN=host/a.example.org`).
 */
export function nameFromDn(dnText: string): Uint8Array | undefined {
  if (!dnText.startsWith('/')) return undefined;
  const parts: string[] = [];
  for (const piece of dnText.slice(1).split('/')) {
    const last = parts.length - 1;
    if (piece.includes('=') || last < 0) parts.push(piece);
    else parts[last] = `${parts[last]}/${piece}`;
  }
  const rdns: Uint8Array[] = [];
  for (const part of parts) {
    const [, name = '', raw = ''] = /^([A-Za-z0-9.]+)=(.+)$/su.exec(part) ?? [];
    const type =
      OID_OF_NAME.get(name.toLowerCase()) ?? (/^[0-2](\.\d+)+$/.test(name) ? name : undefined);
    if (type === undefined) return undefined;
    rdns.push(rdnOf(type, unescapeValue(raw)));
  }
  return sequence(...rdns);
}

function unescapeValue(raw: string): string {
  return raw.replace(/(?:\\x[0-9A-Fa-f]{2})+/g, (run) =>
    Buffer.from(run.replaceAll('\\x', ''), 'hex').toString('utf8'),
  );
}
