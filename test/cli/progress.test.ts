import { expect, test } from 'vitest';
import { paceText } from '../../cli/progress.ts';

const MIB = 2 ** 20;

test('the pace counts what moved, not what was there, and is told once it is known', () => {
  const progress = { fromBytes: 50 * MIB, doneBytes: 70 * MIB, totalBytes: 100 * MIB };
  expect(paceText(progress, 2_000)).toBe(', 10 MiB/s, 3.0 s left');
  expect(paceText(progress, 500)).toBe('');
  expect(paceText({ ...progress, doneBytes: 50 * MIB }, 2_000)).toBe('');
});
