/**
 * The words of a command with placeholders: `--job-name={name}`. A list of words is a group, left out as a whole where a
 * placeholder in it has no value; `{?:gpus={gpus}}` is the same within a word. A word that is nothing but a placeholder with
 * many values becomes a word for each; elsewhere they are joined with commas.
 */
export type Words = readonly (string | readonly string[])[];

/** Undefined or empty for no value. */
export type Values = Readonly<Record<string, string | readonly string[] | undefined>>;

const PLACEHOLDER = /\{([a-z-]+)\}/g;
const WHOLE = /^\{([a-z-]+)\}$/;
const OPTIONAL = /\{\?((?:[^{}]|\{[a-z-]+\})*)\}/g;

/** The argument list: program first. */
export function fill(words: Words, values: Values): readonly string[] {
  return words.flatMap((item) => {
    if (typeof item === 'string') return fillWord(item, values);
    return namesIn(item.join(' ')).every((name) => hasValue(values[name]))
      ? item.flatMap((word) => fillWord(word, values))
      : [];
  });
}

/** `{id}[{index}]` with values for both. */
export const fillText = (text: string, values: Values): string =>
  text
    .replace(OPTIONAL, (_, part: string) =>
      namesIn(part).every((name) => hasValue(values[name])) ? part : '',
    )
    .replace(PLACEHOLDER, (_, name: string) => [values[name] ?? ''].flat().join(','));

function fillWord(word: string, values: Values): readonly string[] {
  const value = values[WHOLE.exec(word)?.[1] ?? ''];
  return typeof value === 'object' ? value : [fillText(word, values)];
}

const hasValue = (value: Values[string]): boolean => value !== undefined && value.length > 0;

const namesIn = (text: string): readonly string[] =>
  [...text.matchAll(PLACEHOLDER)].map(([, name]) => name ?? '');

/** Names of all placeholders. */
export const placeholdersOf = (words: Words): ReadonlySet<string> =>
  new Set(words.flat().flatMap(namesIn));

export interface Known {
  /** Placeholders that always have a value. */
  readonly always: readonly string[];
  /** Those that may have none. */
  readonly sometimes: readonly string[];
}

/** What is wrong with the words: one sentence each. */
export function faultsOf(words: Words, { always, sometimes }: Known): readonly string[] {
  const known = [...always, ...sometimes];
  const unknown = [...placeholdersOf(words)].filter((name) => !known.includes(name));
  const bare = words
    .filter((item) => typeof item === 'string' && !WHOLE.test(item))
    .flatMap((item) => namesIn(String(item).replace(OPTIONAL, '')))
    .filter((name) => sometimes.includes(name));
  const single = words.flatMap((item) => {
    const name = typeof item === 'string' ? WHOLE.exec(item)?.[1] : undefined;
    return name !== undefined && sometimes.includes(name) && name !== MANY ? [name] : [];
  });
  return [
    ...unknown.map((name) => `{${name}} is no placeholder here; there are ${listOf(known)}`),
    ...[...bare, ...single].map(
      (name) => `{${name}} may have no value: put its word into a list, which is left out then`,
    ),
    ...(namesIn([words[0] ?? ''].flat().join(' ')).length > 0
      ? ['the program is a name or a path, without a placeholder']
      : []),
  ];
}

/** May have no word, one, or more. */
const MANY = 'extra-args';

const listOf = (names: readonly string[]): string => names.map((name) => `{${name}}`).join(' ');
