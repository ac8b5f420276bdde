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

test.for(['x', '0', '6', '1e0'])(
  '%s is refused as a number of sites, with what is meant',
  (text) => {
    const sites = readInput(new Map([['sites', text]]), [], []);
    const message = `--sites '${text}' is not a whole number from 1 to 5`;
    expect(() => sites.whole('sites', 1, 5)).toThrow(message);
  },
);

test('a whole number may have no upper bound', () => {
  const given = readInput(new Map([['cpus', '0']]), [], []);
  expect(() => given.whole('cpus', 1)).toThrow("--cpus '0' is not a whole number, 1 or more");
  expect(given.whole('cpus')).toBe(0);
  expect(readInput(new Map([['sites', '5']]), [], []).whole('sites', 1, 5)).toBe(5);
});

test.for(['99999999999d', '36501d', `${'9'.repeat(400)}d`])(
  '%s is too long for any option',
  (text) => {
    const long = readInput(new Map([['keep', text]]), [], []);
    const message = `--keep '${text}' is too long: at most 36500d`;
    expect(() => long.lifetime('keep')).toThrow(message);
    expect(() => long.duration('keep')).toThrow(message);
  },
);

test('a hundred years are not too long', () => {
  const keep = readInput(new Map([['keep', '36500d']]), [], []);
  expect(keep.lifetime('keep')).toBe(36_500 * 86_400_000);
});
