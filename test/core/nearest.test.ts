import { expect, test } from 'vitest';
import { nearest, suggestion } from '../../core/nearest.ts';

const KEYS = ['cpus', 'memory', 'walltime', 'inputs', 'exclude-sites', 'nodes'];

test.for<[string, string | undefined]>([
  ['cpu', 'cpus'],
  ['memroy', 'memory'],
  ['Memory', 'memory'],
  ['waltime', 'walltime'],
  ['exclude_sites', 'exclude-sites'],
  ['input', 'inputs'],
  ['mdoes', 'nodes'],
  ['exclude', 'exclude-sites'],
  ['xyz', undefined],
  ['', undefined],
])('%s was meant to be %s', ([word, meant]) => expect(nearest(word, KEYS)).toBe(meant));

test('a suggestion is a clause to add to a sentence, or nothing', () => {
  expect(suggestion('cpu', KEYS)).toBe("; did you mean 'cpus'?");
  expect(suggestion('zebra', KEYS)).toBe('');
});
