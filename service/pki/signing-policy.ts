import type { Dn } from '../../core/ids.ts';
import { formatName, nameFromDn } from './name.ts';

/**
 * Patterns of the names that the authority may sign, from a Globus `.signing_policy` file (EACL); undefined where the
 * file does not speak about this authority. Only `pos_rights globus CA:sign` grants.
 */
export function parseSigningPolicy(text: string, authority: Dn): readonly string[] | undefined {
  const entries = entriesOf(text).filter(({ ca }) => sameName(ca, authority));
  if (entries.length === 0) return undefined;
  return entries.flatMap(({ grants }) => grants);
}

interface Entry {
  readonly ca: string;
  /** Patterns after a right to sign. */
  readonly grants: string[];
}

function entriesOf(text: string): readonly Entry[] {
  const entries: Entry[] = [];
  let granting = false;
  for (const line of text.split('\n')) {
    const [, key, value = ''] = LINE.exec(line) ?? [];
    if (key === 'access_id_CA') {
      entries.push({ ca: unquote(value), grants: [] });
      granting = false;
    } else if (key === 'cond_subjects') {
      if (granting) entries.at(-1)?.grants.push(...splitSubjects(unquote(value)));
    } else if (key !== undefined) {
      granting = key === 'pos_rights' && unquote(value) === 'CA:sign';
    }
  }
  return entries;
}

const LINE = /^\s*(access_id_CA|(?:pos|neg)_rights|cond_subjects)\s+\S+\s+(.*?)\s*$/;

const unquote = (value: string): string =>
  /^'([^']*)'/.exec(value)?.[1] ?? value.replace(/\s*#.*$/, '');

const splitSubjects = (list: string): readonly string[] =>
  [...list.matchAll(/"([^"]*)"|(\S+)/g)].map(([, quoted, bare]) =>
    decodeBytes(quoted ?? bare ?? ''),
  );

/** OpenSSL prints what is not ASCII byte by byte. */
const decodeBytes = (text: string): string =>
  text.replace(/(?:\\x[89A-Fa-f][0-9A-Fa-f])+/g, (run) =>
    Buffer.from(run.replaceAll('\\x', ''), 'hex').toString('utf8'),
  );

function sameName(text: string, authority: Dn): boolean {
  const plain = text.replace(/^"(.*)"$/, '$1');
  if (plain === authority) return true;
  const name = nameFromDn(plain);
  return name !== undefined && formatName(name) === authority;
}
