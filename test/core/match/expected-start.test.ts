import { expect, test } from 'vitest';
import { jobId, siteId } from '../../../core/ids.ts';
import { expectedStart } from '../../../core/match/expected-start.ts';
import { NO_NEED } from '../../../core/match/need.ts';
import type { SiteView } from '../../../core/match/site-view.ts';
import { openHearing, type Standards } from '../../../core/match/verdicts.ts';
import { askFor, NO_RULES, siteOf } from '../../fakes/offers.ts';

const run = (endsByMs: number, cpus: number) => ({
  endsByMs,
  need: { ...NO_NEED, cpus, memoryBytes: 2 ** 30 },
});
const aachen = siteOf('aachen', { freeCpus: 2 }, { runs: [run(9_000, 1), run(5_000, 1)] });
const bremen = siteOf('bremen', { freeCpus: 0 }, { runs: [run(7_000, 4)] });

const startOf = (sites: readonly SiteView[], cpus: number, more: Standards = {}) => {
  const standards = { key: '1', nowMs: 1_000, ...more };
  return expectedStart(askFor({}, { cpus }), openHearing(sites, NO_RULES, standards), standards);
};
const kept = (key: string) => ({
  key,
  job: jobId('j'),
  ordinal: 0,
  site: siteId('aachen'),
  fromMs: 9_000,
  spare: NO_NEED,
});

test('a start is expected where enough ends first', () => {
  expect(startOf([aachen, bremen], 3)).toEqual({ site: 'aachen', byMs: 5_000, reserved: false });
  expect(startOf([aachen, bremen], 4)).toEqual({ site: 'bremen', byMs: 7_000, reserved: false });
});

test('room that is kept for the job goes before what is free sooner', () => {
  const start = startOf([aachen, bremen], 4, { reservations: [kept('1')] });
  expect(start).toEqual({ site: 'aachen', byMs: 9_000, reserved: true });
});

test('room that is kept for another promises nothing', () => {
  expect(startOf([aachen], 4, { reservations: [kept('2')] })).toBeUndefined();
});

test('what waits in the backlog of a site starts first', () => {
  const wanted = { need: { ...NO_NEED, cpus: 3 }, walltimeMs: 500 };
  const busy = { ...bremen, waiting: 2, backlogged: [wanted, { ...wanted, walltimeMs: 800 }] };
  // The first runs from 7,000 on, the second when that has ended.
  expect(startOf([busy], 1)).toEqual({ site: 'bremen', byMs: 7_500, reserved: false });
  expect(startOf([busy], 4)).toEqual({ site: 'bremen', byMs: 8_300, reserved: false });
  expect(startOf([{ ...bremen, waiting: 1 }], 4)).toBeUndefined();
});

test('nothing is expected of a site that is full of work of its own, or that can never take the job', () => {
  expect(startOf([siteOf('celle', { freeCpus: 0 })], 1)).toBeUndefined();
  expect(startOf([bremen], 5)).toBeUndefined();
  expect(startOf([{ ...bremen, status: 'lost' }], 4)).toBeUndefined();
});
