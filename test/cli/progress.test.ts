import { expect, test } from 'vitest';
import { barWidth, paceText } from '../../cli/progress.ts';

const MIB = 2 ** 20;

test('the pace counts what moved, not what was there, and is told once it is known', () => {
  const progress = { fromBytes: 50 * MIB, doneBytes: 70 * MIB, totalBytes: 100 * MIB };
  expect(paceText(progress, 2_000)).toBe(', 10 MiB/s, 3.0 s left');
  expect(paceText(progress, 500)).toBe('');
  expect(paceText({ ...progress, doneBytes: 50 * MIB }, 2_000)).toBe('');
});

test('a narrow terminal has a short bar, and the numbers behind it', () => {
  expect([40, 64, 80, 200].map(barWidth)).toEqual([4, 8, 24, 24]);
  const line = `sending ${' '.repeat(barWidth(40))} 99% 999 MiB of 9.9 GiB`;
  expect(line.length).toBeLessThanOrEqual(40);
});
