import { expect, test } from 'vitest';
import { type CachedEntry, chooseEvicted } from '../../../core/data/evict.ts';

const entry = (path: string, usedAtMs: number, held = false): CachedEntry => ({
  path,
  bytes: 10,
  usedAtMs,
  held,
});
const evicted = (entries: readonly CachedEntry[], keepBytes: number): readonly string[] =>
  chooseEvicted(entries, keepBytes, 1_000).map(({ path }) => path);

test('what was unused for longest goes first, and no more than need be', () => {
  const entries = [entry('c', 30), entry('a', 10), entry('b', 20), entry('d', 40)];
  expect(evicted(entries, 20)).toEqual(['a', 'b']);
  expect(evicted(entries, 40)).toEqual([]);
  expect(evicted(entries, 39)).toEqual(['a']);
});

test('what a task holds stays, also when the bound cannot be met then', () => {
  expect(evicted([entry('a', 10, true), entry('b', 20)], 0)).toEqual(['b']);
});

test('what was used just now, or in the future of a clock that went back, stays', () => {
  expect(evicted([entry('now', 1_000), entry('future', 9_000), entry('old', 999)], 0)).toEqual([
    'old',
  ]);
});

test('equal ages go by path, in whatever order they are listed', () => {
  expect(evicted([entry('b', 1), entry('a', 1)], 10)).toEqual(['a']);
  expect(evicted([entry('a', 1), entry('b', 1)], 10)).toEqual(['a']);
});
