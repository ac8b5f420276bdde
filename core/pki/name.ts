import { GridError } from '../errors.ts';
import { type Dn, dn } from '../ids.ts';

/** Attribute types that our authority writes into names. */
const NAME_TYPES = ['DC', 'C', 'ST', 'L', 'O', 'OU', 'CN'] as const;

/** One relative distinguished name with a single attribute. */
export interface Rdn {
  readonly type: (typeof NAME_TYPES)[number];
  readonly value: string;
}

/**
 * What stands in names that our authority writes: ASCII without `/`, `=`, `+`, `,` and `\`, so that every notation of
 * the name (OpenSSL's, RFC 2253's, a signing policy's) reads back as the same name.
 */
const VALUE = /^[A-Za-z0-9](?:[A-Za-z0-9 .:'()_@-]{0,62}[A-Za-z0-9.')])?$/;

/** Why `value` cannot stand in a name; undefined where it can. */
export function nameValueProblem(value: string): string | undefined {
  if (/ {2}/.test(value)) return `'${printable(value)}' has two spaces in a row`;
  if (!VALUE.test(value)) {
    return (
      `'${printable(value)}' is no name: 1 to 64 ASCII letters, digits, spaces and . : ' ( ) _ @ -, ` +
      'beginning with a letter or digit'
    );
  }
  return undefined;
}

/** `/DC=org/DC=example/CN=Alice` -> its parts; throws REQUEST_INVALID for what our authority would not write. */
export function parseName(text: string): readonly Rdn[] {
  const parts = text.split('/');
  if (parts.shift() !== '' || parts.length === 0) {
    throw new GridError(
      'REQUEST_INVALID',
      `'${printable(text)}' is no DN: write for instance /DC=org/DC=example/CN=Alice`,
    );
  }
  return parts.map((part) => {
    const [type = '', value = '', ...rest] = part.split('=');
    const problem = rest.length > 0 ? `'${printable(part)}' has two '='` : nameValueProblem(value);
    if (!isNameType(type)) {
      const known = NAME_TYPES.join(', ');
      throw new GridError('REQUEST_INVALID', `'${printable(type)}' in a DN is none of ${known}`);
    }
    if (problem !== undefined) throw new GridError('REQUEST_INVALID', problem);
    return { type, value };
  });
}

/** The parts of a name as one line, in OpenSSL's form. */
export const formatName = (rdns: readonly Rdn[]): Dn =>
  dn(rdns.map((rdn) => `/${rdn.type}=${rdn.value}`).join(''));

/** Names that people take for the same one (letter case, spaces) have one canonical form; never issue both. */
export const canonicalDn = (text: string): string =>
  text
    .toLowerCase()
    .replace(/\s+/g, ' ')
    .replace(/ ?\/ ?/g, '/')
    .trim();

/** Whether `text` looks like a DN of any authority, in OpenSSL's form with `/` in values escaped. */
export const isDnText = (text: string): boolean =>
  text.length <= 1_024 && /^(?:\/[A-Za-z0-9.]+=[^/\p{Cc}]+)+$/u.test(text);

const isNameType = (type: string): type is Rdn['type'] =>
  NAME_TYPES.some((known) => known === type);

/** Control and non-ASCII characters of foreign text never reach a terminal or a log as they are. */
const printable = (text: string): string =>
  text.slice(0, 80).replace(/[^\x20-\x7e]/g, (char) => `\\u{${char.codePointAt(0)?.toString(16)}}`);
