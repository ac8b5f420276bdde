import { expect, test } from 'vitest';
import { extendRanges, formatRanges, type TaskRange } from '../../../core/job/ranges.ts';
import type { ArraySpec } from '../../../core/job/spec.ts';
import type { JobState } from '../../../core/job/state.ts';

const rangesOf = (states: string): TaskRange[] => {
  const words: Readonly<Record<string, JobState>> = { d: 'done', f: 'failed', q: 'queued' };
  const ranges: TaskRange[] = [];
  for (const [ordinal, letter] of states.split('').entries())
    extendRanges(ranges, { state: words[letter] ?? 'held', first: ordinal, last: ordinal });
  return ranges;
};
const text = (array: ArraySpec, states: string, state: JobState = 'done', most = 8): string =>
  formatRanges({ array }, rangesOf(states), state, most);
const ONE_UP = { kind: 'range', first: 1, last: 9, step: 1 } as const;

test('neighbours in one state are one range', () => {
  const ranges = rangesOf('ddfd');
  extendRanges(ranges, { state: 'queued', first: 4, last: 999_999 });
  expect(ranges).toEqual([
    { state: 'done', first: 0, last: 1 },
    { state: 'failed', first: 2, last: 2 },
    { state: 'done', first: 3, last: 3 },
    { state: 'queued', first: 4, last: 999_999 },
  ]);
});

test('ranges are written in the values of the tasks', () => {
  expect(text(ONE_UP, 'ddfdqqdd')).toBe('1-2,4,7-8');
  expect(text(ONE_UP, 'ddfdqqdd', 'failed')).toBe('3');
  expect(text(ONE_UP, 'ddd', 'failed')).toBe('');
  expect(text({ kind: 'range', first: 10, last: 90, step: 5 }, 'dddf')).toBe('10-20:5');
  const values = ['red', 'green', 'blue', 'grey', 'pink'];
  expect(text({ kind: 'list', values }, 'ddfd')).toBe('red,green,grey');
  expect(text({ kind: 'list', values }, 'ddddf')).toBe('red to grey');
});

test('too many ranges are counted only', () => {
  expect(text(ONE_UP, 'dfdfddfdd', 'done', 2)).toBe('1,3 and 4 more');
});
