import type * as z from 'zod';

/** What a value is called in a file that people write. */
const KINDS: Readonly<Record<string, string>> = {
  string: 'a text',
  number: 'a number',
  int: 'a whole number',
  boolean: 'true or false',
  array: 'a list, for instance [a, b]',
  object: 'a section: lines of their own below it, `name: value`',
  record: 'a section: lines of their own below it, `name: value`',
};

/** One fault of a file in our own words; undefined for those that the schema has words for. */
export function schemaWords(issue: z.core.$ZodRawIssue): string | undefined {
  if (issue.code === 'invalid_type') return typeWords(issue);
  if (issue.code === 'invalid_value')
    return `must be ${choice(issue.values.map(String))}, not ${shown(issue.input)}`;
  if (issue.code === 'too_small')
    return sizeWords(issue.origin, 'at least', issue.minimum, issue.input);
  if (issue.code === 'too_big')
    return sizeWords(issue.origin, 'at most', issue.maximum, issue.input);
  return undefined;
}

const choice = (values: readonly string[]): string =>
  values.length > 2 ? `one of ${values.join(', ')}` : values.join(' or ');

function typeWords({ expected, input }: z.core.$ZodRawIssue<z.core.$ZodIssueInvalidType>): string {
  const wanted = KINDS[expected] ?? expected;
  if (input === undefined) return `is missing: it must be ${wanted}`;
  if (input === null) return `has no value: it must be ${wanted}, or the line has to go`;
  return `must be ${wanted}, not ${shown(input)}`;
}

function sizeWords(origin: string, bound: string, limit: number | bigint, input: unknown): string {
  if (origin === 'string')
    return input === '' ? 'must not be empty' : `must have ${bound} ${limit} characters`;
  if (origin === 'array' || origin === 'set') return `must have ${bound} ${limit} entries`;
  return `must be ${bound} ${limit}, not ${shown(input)}`;
}

const MOST_SHOWN = 40;

/** A value as it stands in the file, cut. */
function shown(value: unknown): string {
  if (Array.isArray(value)) return 'a list';
  if (typeof value === 'object' && value !== null) return 'a section';
  const text = typeof value === 'string' ? `'${value}'` : String(value);
  return text.length > MOST_SHOWN ? `${text.slice(0, MOST_SHOWN)}...` : text;
}
