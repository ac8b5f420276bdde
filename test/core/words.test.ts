import { expect, test } from 'vitest';
import { boundedWords, MOST_WORDS_BYTES } from '../../core/words.ts';

test('short words stay as they are', () => {
  for (const text of ['', 'no such queue', 'ä'.repeat(1_000), 'x'.repeat(MOST_WORDS_BYTES)])
    expect(boundedWords(text)).toBe(text);
});

test.for([
  ['x', 1],
  ['ä', 2],
  ['€', 3],
  ['𝛑', 4],
] as const)('long words of %s are cut between characters, and say so', ([letter, size]) => {
  const text = `a${letter.repeat(1_000_000)}`;
  const cut = boundedWords(text);
  const pattern = new RegExp(`^a(?:${letter})+… \\(cut, ${1 + size * 1_000_000} bytes\\)$`, 'u');
  expect(cut).toMatch(pattern);
  const length = Buffer.byteLength(cut);
  expect([length <= MOST_WORDS_BYTES, length > MOST_WORDS_BYTES - 4]).toEqual([true, true]);
  expect(boundedWords(cut)).toBe(cut);
});
