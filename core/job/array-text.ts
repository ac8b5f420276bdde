import { type ArraySpec, MAX_ARRAY_TASKS } from './spec.ts';

/** What an array text came to. */
export type ParsedArray =
  | { readonly ok: true; readonly array: ArraySpec }
  | { readonly ok: false; readonly message: string };

const RANGE = /^(\d{1,15})-(\d{1,15})(?::(\d{1,15}))?$/;

/** `1-1000`, `0-99:2`, `3,7,10-12` or `red,green,blue` -> the values of an array. */
export function parseArrayText(text: string): ParsedArray {
  const parts = text.split(',').map((part) => part.trim());
  const [only = ''] = parts;
  if (parts.length === 1) return RANGE.test(only) ? parseRange(only) : refused(onlyOne(only));
  if (parts.includes('')) return refused(`'${text}' has an empty value between commas`);
  const values: string[] = [];
  for (const part of parts) {
    const numbers = RANGE.test(part) ? parseRange(part) : undefined;
    if (numbers?.ok === false) return numbers;
    // One by one: there may be more than a call takes arguments.
    for (const value of numbers === undefined ? [part] : valuesOf(numbers.array))
      values.push(value);
    if (values.length > MAX_ARRAY_TASKS) return refused(tooMany(values.length));
  }
  return parseArrayValues(values);
}

/** A list of values: not empty, each a short line, none twice (results are kept by value). */
export function parseArrayValues(values: readonly string[]): ParsedArray {
  if (values.length === 0) return refused('the list of values is empty');
  if (values.length > MAX_ARRAY_TASKS) return refused(tooMany(values.length));
  const seen = new Set<string>();
  for (const value of values) {
    if (value === '' || value.length > 256 || /[\0\n\r]/.test(value))
      return refused(`value '${value.slice(0, 40)}' must be one line of 1 to 256 characters`);
    if (seen.has(value)) return refused(`value '${value}' is there twice`);
    seen.add(value);
  }
  return { ok: true, array: { kind: 'list', values } };
}

function parseRange(text: string): ParsedArray {
  const [first = 0, last = 0, step = 1] = (RANGE.exec(text) ?? [])
    .slice(1)
    .map((part) => (part === undefined ? 1 : Number(part)));
  if (step < 1) return refused(`the step of '${text}' must be at least 1`);
  if (last < first) return refused(`'${text}' runs backwards: write ${last}-${first}`);
  const count = Math.floor((last - first) / step) + 1;
  if (count > MAX_ARRAY_TASKS) return refused(tooMany(count));
  return { ok: true, array: { kind: 'range', first, last, step } };
}

function valuesOf(array: ArraySpec): readonly string[] {
  if (array.kind === 'list') return array.values;
  const values: string[] = [];
  for (let value = array.first; value <= array.last; value += array.step)
    values.push(String(value));
  return values;
}

const refused = (message: string): ParsedArray => ({ ok: false, message });
const tooMany = (count: number): string =>
  `${count} tasks are too many for one array: at most ${MAX_ARRAY_TASKS}`;
const onlyOne = (text: string): string =>
  /^\d+$/.test(text)
    ? `'${text}' is one number: write a range such as 1-${text}`
    : `'${text}' is no range: write 1-1000, 0-99:2 or a list of values`;
