import { formatDuration, parseBytes, parseDuration } from '../units.ts';
import { parseArrayText, parseArrayValues } from './array-text.ts';
import type { ArraySpec } from './spec.ts';

/** The way from the root of a job to a value: keys and positions. */
export type Path = readonly (string | number)[];
/** Takes down one problem; `key` when it is about the last key of the path and not about its value. */
export type Collect = (path: Path, message: string, about?: 'key') => void;

type Raw = Readonly<Record<string, unknown>>;

export const isRecord = (value: unknown): value is Raw =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

/** A scalar as the text that was written, more or less; undefined for anything else. */
export function scalarText(value: unknown): string | undefined {
  if (typeof value === 'string') return value;
  return typeof value === 'number' || typeof value === 'boolean' ? String(value) : undefined;
}

/** Absent, `null` and the empty value of YAML are all the same: not given. */
const isGiven = (value: unknown): boolean => value !== undefined && value !== null && value !== '';

/** What was written, for a message. */
function shown(value: unknown): string {
  if (Array.isArray(value)) return 'a list';
  return isRecord(value) ? 'a set of keys' : `'${String(value)}'`;
}

export function textOf(raw: Raw, key: string, collect: Collect): string | undefined {
  const value = raw[key];
  if (!isGiven(value)) return undefined;
  const text = scalarText(value);
  if (text === undefined) collect([key], `${key} must be a text, not ${shown(value)}`);
  return text;
}

export function wholeOf(
  raw: Raw,
  key: string,
  least: number,
  fallback: number,
  collect: Collect,
): number {
  const value = raw[key];
  if (!isGiven(value)) return fallback;
  const text = scalarText(value) ?? '';
  const number = Number(text);
  if (!/^\d{1,9}$/.test(text) || number < least) {
    collect([key], `${key} must be a whole number, at least ${least}, not ${shown(value)}`);
    return fallback;
  }
  return number;
}

/** `x1.5`: how many times as much. Bounds are checked by core/job/check-spec.ts. */
export function factorOf(raw: Raw, key: string, collect: Collect): number | undefined {
  const value = raw[key];
  if (!isGiven(value)) return undefined;
  const factor = /^x(\d{1,9}(?:\.\d{1,9})?)$/.exec(scalarText(value) ?? '')?.[1];
  if (factor === undefined)
    collect([key], `${key} must be a factor such as x1.5, not ${shown(value)}`);
  return factor === undefined ? undefined : Number(factor);
}

export function bytesOf(raw: Raw, key: string, fallback: number, collect: Collect): number {
  const value = raw[key];
  if (!isGiven(value)) return fallback;
  const text = (scalarText(value) ?? '').trim();
  if (/^\d+$/.test(text)) {
    // A bare number is bytes to one reader and megabytes (Slurm) to the next.
    collect([key], `${key} '${text}' has no unit: write for instance ${text}M or ${text}G`);
    return fallback;
  }
  const bytes = parseBytes(text);
  if (bytes === undefined || bytes === 0) {
    collect([key], `${key} must be a size such as 512M or 4G, not ${shown(value)}`);
    return fallback;
  }
  return bytes;
}

export function durationOf(raw: Raw, key: string, fallback: number, collect: Collect): number {
  const value = raw[key];
  if (!isGiven(value)) return fallback;
  const text = (scalarText(value) ?? '').trim();
  if (/^\d+$/.test(text)) {
    collect([key], `${key} '${text}' has no unit: write for instance ${text}m or ${text}s`);
    return fallback;
  }
  const ms = parseDuration(text);
  if (ms === undefined || ms === 0) {
    const example = `90m, 1h30m or 01:30:00`;
    collect([key], `${key} must be a duration such as ${example}, not ${shown(value)}`);
    return fallback;
  }
  if (ms < 1_000) collect([key], `${key} ${formatDuration(ms)} is under a second`);
  return ms;
}

export function choiceOf<T extends string>(
  raw: Raw,
  key: string,
  choices: readonly T[],
  collect: Collect,
): T | undefined {
  const text = textOf(raw, key, collect);
  const found = choices.find((choice) => choice === text);
  if (text !== undefined && found === undefined)
    collect([key], `${key} must be ${choices.join(' or ')}, not '${text}'`);
  return found;
}

/** `{name: count}`; a name without a count is one. */
export function countsOf(
  raw: Raw,
  key: string,
  collect: Collect,
): Readonly<Record<string, number>> {
  const value = raw[key];
  if (!isGiven(value)) return {};
  if (!isRecord(value)) {
    collect([key], `${key} must be a set of 'name: count', not ${shown(value)}`);
    return {};
  }
  const inside: Collect = ([name = ''], message) => collect([key, name], message);
  return Object.fromEntries(
    Object.keys(value).map((name) => [name, wholeOf(value, name, 1, 1, inside)]),
  );
}

/** One item of a list, with the way to it. */
export interface Item {
  readonly text: string;
  readonly path: Path;
}

/** A list of texts; a single text is a list of one. */
export function listOf(raw: Raw, key: string, collect: Collect): readonly Item[] {
  const value = raw[key];
  if (!isGiven(value)) return [];
  const single = scalarText(value);
  if (single !== undefined) return [{ text: single, path: [key] }];
  if (!Array.isArray(value)) {
    collect([key], `${key} must be a list, not ${shown(value)}`);
    return [];
  }
  return value.flatMap((item: unknown, index) => {
    const text = scalarText(item);
    if (text !== undefined && text !== '') return [{ text, path: [key, index] }];
    collect([key, index], `${key} must hold texts, not ${shown(item)}`);
    return [];
  });
}

/** A list of words, or one text for `sh -c`. */
export function commandOf(value: unknown, collect: Collect): readonly string[] {
  if (!isGiven(value)) {
    collect([], "the job has no command: write 'command: [program, argument]'");
    return [];
  }
  const line = scalarText(value);
  if (line !== undefined) {
    if (line.trim() === '') collect(['command'], 'the command is empty');
    return ['sh', '-c', line];
  }
  if (!Array.isArray(value)) {
    collect(['command'], `command must be a list of words or one text, not ${shown(value)}`);
    return [];
  }
  const words = value.map((word: unknown, index) => {
    const text = scalarText(word);
    if (text === undefined)
      collect(['command', index], `command must hold texts, not ${shown(word)}`);
    return text ?? '';
  });
  if (words.length === 0 || words[0] === '') collect(['command'], 'the command is empty');
  return words;
}

export function envOf(value: unknown, collect: Collect): Readonly<Record<string, string>> {
  if (!isGiven(value)) return {};
  if (!isRecord(value)) {
    collect(['env'], `env must be a set of 'NAME: value', not ${shown(value)}`);
    return {};
  }
  const entries = Object.entries(value).map(([name, item]) => {
    if (!/^[A-Za-z_]\w*$/.test(name))
      collect(['env', name], `'${name}' is no name of a variable: letters, digits and '_'`, 'key');
    if (name.startsWith('GRID_'))
      collect(['env', name], `'${name}': names with GRID_ are the grid's own`, 'key');
    const text = item === null ? '' : scalarText(item);
    if (text === undefined)
      collect(['env', name], `the value of ${name} must be a text, not ${shown(item)}`);
    return [name, text ?? ''] as const;
  });
  return Object.fromEntries(entries);
}

export function arrayOf(value: unknown, collect: Collect): ArraySpec | undefined {
  if (!isGiven(value)) return undefined;
  const problem = (message: string): undefined => {
    collect(['array'], message);
  };
  const text = scalarText(value);
  if (text !== undefined) {
    const parsed = parseArrayText(text);
    return parsed.ok ? parsed.array : problem(parsed.message);
  }
  if (!Array.isArray(value)) return problem(`array must be a range or a list, not ${shown(value)}`);
  const values = value.map((item: unknown) => scalarText(item));
  const bad = values.indexOf(undefined);
  if (bad !== -1) {
    collect(['array', bad], `array must hold texts or numbers, not ${shown(value[bad])}`);
    return undefined;
  }
  const parsed = parseArrayValues(values.map((item) => item ?? ''));
  return parsed.ok ? parsed.array : problem(parsed.message);
}
