import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  expectedWaitMs,
  LEAST_WAIT_MS,
  NONE_SEEN,
  noteStart,
  type SeenWaits,
  type WaitFacts,
  waitKindOf,
} from '../../../core/match/waits.ts';

const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;
const NOW_MS = 1_700_000_000_000;

const expected = (facts: Partial<WaitFacts>, nowMs = NOW_MS): number =>
  expectedWaitMs({ way: 'start', seen: NONE_SEEN, stalledMs: 0, ownMs: 0, ...facts }, nowMs);
const after = (...waitsMs: readonly number[]): SeenWaits =>
  waitsMs.reduce((seen, waitMs) => noteStart(seen, waitMs, NOW_MS), NONE_SEEN);
const times = (count: number, ms: number): readonly number[] => Array(count).fill(ms) as number[];

describe('waits of a site', () => {
  test('that nobody has seen are what the site says, and none where it says nothing', () => {
    expect(expected({})).toBe(0);
    expect(expected({ ownMs: 5_000 })).toBe(5_000);
  });

  test('come near to what is seen, and the word of the site counts less and less', () => {
    expect(expected({ seen: after(MINUTE_MS) })).toBe(MINUTE_MS / 2);
    const often = expected({ seen: after(...times(50, MINUTE_MS)) });
    expect(often).toBeCloseTo((8 / 9) * MINUTE_MS);
    expect(expected({ seen: after(...times(50, 0)), ownMs: HOUR_MS })).toBeCloseTo(HOUR_MS / 9);
  });

  test('of a site that has become quick are forgotten over a dozen starts', () => {
    const slow = after(...times(1_000, HOUR_MS));
    const quick = times(30, 0).reduce((seen) => noteStart(seen, 0, NOW_MS), slow);
    expect(expected({ seen: quick })).toBeLessThan(MINUTE_MS);
  });

  test('count half after ten minutes, and longer ones after as long again', () => {
    const minute = after(...times(8, MINUTE_MS));
    const at = (seen: SeenWaits, ms: number) => expected({ seen }, NOW_MS + ms);
    expect(at(minute, 10 * MINUTE_MS)).toBeCloseTo((4 / 5) * MINUTE_MS);
    expect(at(minute, 100 * MINUTE_MS)).toBeLessThan(LEAST_WAIT_MS);
    expect(at(after(...times(8, 2 * HOUR_MS)), 2 * HOUR_MS)).toBeCloseTo((4 / 5) * 2 * HOUR_MS);
  });

  test('are at least as long as nothing has started', () => {
    expect(expected({ stalledMs: 20_000 })).toBe(20_000);
    expect(expected({ stalledMs: 20_000, seen: after(...times(9, HOUR_MS)) })).toBeGreaterThan(
      HOUR_MS / 2,
    );
  });

  test('of one task that never starts where there is room are forgotten, those of a backlog are not', () => {
    expect(expected({ stalledMs: 30 * MINUTE_MS })).toBe(30 * MINUTE_MS);
    expect(expected({ stalledMs: 60 * MINUTE_MS })).toBe(15 * MINUTE_MS);
    expect(expected({ way: 'wait', stalledMs: 9 * HOUR_MS })).toBe(9 * HOUR_MS);
  });

  test('are told apart by GPUs and nodes', () => {
    expect(waitKindOf({ gpus: 0, nodes: 1 })).toBe('plain');
    expect(waitKindOf({ gpus: 0, nodes: 2 })).toBe('gang');
    expect(waitKindOf({ gpus: 1, nodes: 2 })).toBe('gpu');
  });

  test('are finite and not negative, whatever the clocks do', () => {
    const clock = fc.integer({ min: NOW_MS - HOUR_MS, max: NOW_MS + HOUR_MS });
    const start = fc.tuple(fc.integer({ min: -HOUR_MS, max: 100 * HOUR_MS }), clock);
    fc.assert(
      fc.property(fc.array(start), clock, fc.nat(1e9), (starts, nowMs, stalledMs) => {
        const seen = starts.reduce((all, [waitMs, at]) => noteStart(all, waitMs, at), NONE_SEEN);
        const wait = expected({ seen, stalledMs }, nowMs);
        expect(Number.isFinite(wait)).toBe(true);
        expect(wait).toBeGreaterThanOrEqual(0);
        expect(seen.starts).toBeLessThanOrEqual(8);
      }),
    );
  });

  test('never keep a site away for ever: after a day at the most it is as good as new', () => {
    const history = fc.array(fc.integer({ min: 0, max: HOUR_MS }), { maxLength: 50 });
    fc.assert(
      fc.property(history, fc.boolean(), (waits, isStuck) => {
        const dayMs = 24 * HOUR_MS;
        const facts = { seen: after(...waits), stalledMs: isStuck ? dayMs : 0 };
        expect(expected(facts, NOW_MS + dayMs)).toBeLessThan(LEAST_WAIT_MS);
      }),
    );
  });
});
