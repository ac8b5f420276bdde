import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { tellTrouble } from '../../../cli/data/staging.ts';

let told: string[] = [];
beforeEach(() => {
  told = [];
  vi.useFakeTimers();
});
afterEach(() => void vi.useRealTimers());

test('trouble that lasts is told of once, and another one too', () => {
  const hear = tellTrouble((text) => told.push(text));
  hear('no answer');
  vi.advanceTimersByTime(2_000);
  hear('no answer');
  expect(told).toEqual([]);
  vi.advanceTimersByTime(2_000);
  hear('no answer');
  vi.advanceTimersByTime(9_000);
  hear('a full disk');
  vi.advanceTimersByTime(4_000);
  expect(told).toEqual([
    'waiting: no answer; what was moved is kept',
    'waiting: a full disk; what was moved is kept',
  ]);
});

test('trouble that was told of is not told of again because of another one that came and went', () => {
  const hear = tellTrouble((text) => told.push(text));
  hear('no answer');
  vi.advanceTimersByTime(4_000);
  hear('a full disk');
  vi.advanceTimersByTime(1_000);
  hear('no answer');
  vi.advanceTimersByTime(9_000);
  expect(told).toEqual(['waiting: no answer; what was moved is kept']);
});

test('trouble that is over soon is told of to nobody', () => {
  const hear = tellTrouble((text) => told.push(text));
  hear('no answer');
  vi.advanceTimersByTime(1_000);
  hear('');
  vi.advanceTimersByTime(9_000);
  expect(told).toEqual([]);
});
