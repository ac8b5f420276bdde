import { GridError } from '../core/errors.ts';
import { LONGEST_MS, parseDuration, TOO_LONG } from '../core/units.ts';

/** What a person wrote behind a command, by option name (`exclude-site`). Each reader refuses a bad value with USAGE. */
export interface Input {
  /** Positional arguments; a `[list...]` is spread out. */
  readonly args: readonly string[];
  /** Words after `--`. */
  readonly rest: readonly string[];
  on(name: string): boolean;
  text(name: string): string | undefined;
  list(name: string): readonly string[];
  /** A whole number of at least `least` (0), and at most `most`. */
  whole(name: string, least?: number, most?: number): number | undefined;
  /** Milliseconds. */
  duration(name: string): number | undefined;
  /** How long something lasts: milliseconds, more than 0. */
  lifetime(name: string): number | undefined;
}

/** The values as commander has parsed them, behind readers that know their types. */
export function readInput(
  values: ReadonlyMap<string, unknown>,
  args: readonly string[],
  rest: readonly string[],
): Input {
  const text = (name: string): string | undefined => {
    const value = values.get(name);
    return typeof value === 'string' ? value : undefined;
  };
  const time = (name: string, wanted: string, parse: typeof parseDuration): number | undefined => {
    const ms = convert(name, text(name), wanted, parse);
    if (ms !== undefined && ms > LONGEST_MS)
      throw new GridError('USAGE', `--${name} '${text(name)}' ${TOO_LONG}`);
    return ms;
  };
  return {
    args,
    rest,
    text,
    on: (name) => values.get(name) === true,
    list: (name) => {
      const value = values.get(name);
      return Array.isArray(value) ? value.map(String) : [];
    },
    whole: (name, least = 0, most = Number.MAX_SAFE_INTEGER) => {
      const range =
        most < Number.MAX_SAFE_INTEGER ? ` from ${least} to ${most}` : `, ${least} or more`;
      return convert(name, text(name), `a whole number${range}`, (value) => {
        const number = /^\d{1,15}$/.test(value) ? Number(value) : -1;
        return number >= least && number <= most ? number : undefined;
      });
    },
    duration: (name) => time(name, 'a duration such as 30s or 1h30m', parseDuration),
    lifetime: (name) =>
      time(
        name,
        'a duration of more than nothing, such as 30s or 1h30m',
        (value) => parseDuration(value) || undefined,
      ),
  };
}

function convert<T>(
  name: string,
  value: string | undefined,
  wanted: string,
  parse: (value: string) => T | undefined,
): T | undefined {
  if (value === undefined) return undefined;
  const parsed = parse(value);
  if (parsed === undefined) throw new GridError('USAGE', `--${name} '${value}' is not ${wanted}`);
  return parsed;
}

/** The n-th positional argument, which commander has made sure of. */
export function argument(input: Input, index: number): string {
  const value = input.args[index];
  if (value === undefined) throw new GridError('USAGE', 'an argument is missing');
  return value;
}
