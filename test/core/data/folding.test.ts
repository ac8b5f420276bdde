import fc from 'fast-check';
import { expect, test } from 'vitest';
import { foldedTwins } from '../../../core/data/folding.ts';

const twinsOf = (...paths: readonly string[]): readonly string[] =>
  foldedTwins(paths).map(({ first, second }) => `${first} ${second}`);

test.for<[string, readonly string[], readonly string[]]>([
  ['nothing', [], []],
  ['plain names', ['a', 'b/a', 'b/c'], []],
  ['the same in two folders', ['x/Data', 'y/data'], []],
  ['case', ['Data.csv', 'data.csv', 'other'], ['Data.csv data.csv']],
  ['three of a kind', ['a', 'A', 'b/x', 'b/X', 'á'], ['a A', 'b/x b/X']],
  ['folders, and not what is in them', ['Sub/a', 'Sub/b', 'sub/a', 'sub/c'], ['Sub sub']],
  ['a folder and a file', ['log/a', 'LOG'], ['log LOG']],
  ['absolute paths', ['/home/x/A', '/home/x/a'], ['/home/x/A /home/x/a']],
  ['two ways to write a letter', ['\u00e9', 'e\u0301'], ['\u00e9 e\u0301']],
  ['sharp s', ['stra\u00dfe', 'STRASSE'], ['stra\u00dfe STRASSE']],
  ['Greek at the end of a word', ['\u03a3\u03a3', '\u03c3\u03c2'], ['\u03a3\u03a3 \u03c3\u03c2']],
  ['what cannot be seen', ['ab', 'a\u200db'], ['ab a\u200db']],
])('%s', ([, paths, expected]) => {
  expect(twinsOf(...paths)).toEqual(expected);
});

test('whatever upper and lower case take for one is found, in any order', () => {
  const name = fc
    .string({ unit: 'binary', minLength: 1, maxLength: 6 })
    .filter((text) => !text.includes('/'));
  fc.assert(
    fc.property(name, fc.boolean(), (text, isFirst) => {
      const other = text.toLowerCase() === text ? text.toUpperCase() : text.toLowerCase();
      const paths = isFirst ? [text, other] : [other, text];
      expect(twinsOf(...new Set(paths.map((path) => `dir/${path}`)))).toHaveLength(
        text === other ? 0 : 1,
      );
    }),
  );
});
