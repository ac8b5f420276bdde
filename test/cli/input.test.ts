import { expect, test } from 'vitest';
import { readInput } from '../../cli/input.ts';

const input = readInput(new Map([['keep', '0s']]), [], []);

test('what shall last lasts longer than nothing: 0 would mean for ever to the grid', () => {
  expect(() => input.lifetime('keep')).toThrow(
    "--keep '0s' is not a duration of more than nothing",
  );
  expect(input.duration('keep')).toBe(0);
  expect(input.lifetime('for')).toBeUndefined();
  expect(readInput(new Map([['for', '2s']]), [], []).lifetime('for')).toBe(2000);
});
