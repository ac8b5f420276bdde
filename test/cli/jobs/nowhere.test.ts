import { expect, test } from 'vitest';
import { nowhereLines } from '../../../cli/jobs/nowhere.ts';
import type { SiteVerdict } from '../../../proto/gen/grid/v1/broker.ts';

const verdict = (lasting: boolean, matches = false): SiteVerdict => ({
  site: 'aachen',
  matches,
  refusal: matches ? '' : 'too-little-memory',
  detail: '',
  lastHeardAtMs: 0,
  expectedWaitMs: 0,
  lasting,
});
const answer = 'it waits: the only site cannot take it (needs 64 GiB, offers 6 GiB)';

test('whoever submits what no site can take is told at once, with what helps', () => {
  const advice = ['with `memory: 6G`, 1 site could run it: aachen', 'other'];
  expect(nowhereLines('j1', { answer, sites: [verdict(true)], advice, waitsFor: [] })).toEqual([
    `warning: ${answer}`,
    '  -> with `memory: 6G`, 1 site could run it: aachen; see `grid why j1`',
  ]);
  expect(nowhereLines('j1', { answer, sites: [verdict(true)], advice: [], waitsFor: [] })[1]).toBe(
    '  -> see `grid why j1`',
  );
});

test('nothing is said where one site could take it later, takes it now, or no verdict is known', () => {
  for (const sites of [[verdict(true), verdict(false)], [verdict(false, true)], []])
    expect(nowhereLines('j1', { answer, sites, advice: [], waitsFor: [] })).toEqual([]);
});

test('what waits for another job and fits nowhere is not told to look at that one', () => {
  const later = {
    answer: 'it waits for j2 to end',
    advice: ['see `grid why j2`'],
    waitsFor: ['j2'],
  };
  expect(nowhereLines('j1', { ...later, sites: [verdict(true)] })).toEqual([
    'warning: no site can take it as it is',
    '  -> see `grid why j1`',
  ]);
});
