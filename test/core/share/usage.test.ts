import fc from 'fast-check';
import { expect, test } from 'vitest';
import { accrued, addUsage, NO_USAGE, type Usage, usageAt } from '../../../core/share/usage.ts';

const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;
const WEEK_MS = 7 * DAY_MS;
const used = (amount: number, atMs: number): Usage => ({ amount, rate: 0, atMs });

test('half is left after a half-life, a quarter after two', () => {
  const usage = used(1_000, DAY_MS);
  const readings = [0, WEEK_MS, 2 * WEEK_MS].map((ms) => usageAt(usage, DAY_MS + ms, WEEK_MS));
  expect(readings).toEqual([1_000, 500, 250]);
});

test('what is added counts in full, on top of what is left', () => {
  const usage = addUsage(used(1_000, 0), { amount: 10 }, WEEK_MS, WEEK_MS);
  expect(usage).toEqual({ amount: 510, rate: 0, atMs: WEEK_MS });
});

test('two cpus come to 2 cpu-seconds a second at first, and to no more than they can for ever', () => {
  expect(accrued(2, 1_000, WEEK_MS)).toBeCloseTo(2, 4);
  expect(accrued(2, 500 * DAY_MS, WEEK_MS)).toBeCloseTo((2 * 7 * 86_400) / Math.LN2, 3);
});

test('accruing in one go is the same as accruing in steps', () => {
  fc.assert(
    fc.property(
      fc.array(fc.integer({ min: 0, max: 30 * DAY_MS }), { maxLength: 20 }),
      fc.double({ min: 0, max: 1e6, noNaN: true }),
      (steps, rate) => {
        let usage: Usage = { amount: 5, rate, atMs: 0 };
        let nowMs = 0;
        for (const ms of steps) {
          nowMs += ms;
          usage = addUsage(usage, {}, nowMs, WEEK_MS);
        }
        const once = usageAt({ amount: 5, rate, atMs: 0 }, nowMs, WEEK_MS);
        expect(Math.abs(usage.amount - once)).toBeLessThanOrEqual(1e-9 * (1 + once));
      },
    ),
    { examples: [[[1, 7], 266_230.05]] },
  );
});

test('a task that ended is worth what it was worth while it ran', () => {
  const running = addUsage(NO_USAGE, { rate: 3 }, DAY_MS, WEEK_MS);
  const endMs = 4 * DAY_MS;
  const before = usageAt(running, endMs, WEEK_MS);
  const settled = addUsage(NO_USAGE, { amount: accrued(3, 3 * DAY_MS, WEEK_MS) }, endMs, WEEK_MS);
  expect(settled.amount).toBeCloseTo(before, 6);
});

test.each([-1, 1])('an hour of jump (%i) and back costs at most what an hour is worth', (way) => {
  const usage = { amount: 1_000_000, rate: 4, atMs: 10 * DAY_MS };
  const jumped = addUsage(usage, { amount: 7 }, usage.atMs + way * HOUR_MS, WEEK_MS);
  const laterMs = 10 * DAY_MS + 2 * HOUR_MS;
  const straight = usageAt(addUsage(usage, { amount: 7 }, usage.atMs, WEEK_MS), laterMs, WEEK_MS);
  const found = usageAt(jumped, laterMs, WEEK_MS);
  const hour = 1_000_007 * (1 - 2 ** (-1 / 168)) + 4 * 3_600;
  expect(Math.abs(found - straight)).toBeLessThanOrEqual(hour);
  expect(usageAt(usage, usage.atMs - HOUR_MS, WEEK_MS)).toBe(1_000_000);
});

test('numbers stay finite for years, whatever is added', () => {
  const day = fc.record({
    amount: fc.double({ min: 0, max: 1e15, noNaN: true }),
    rate: fc.double({ min: -1e6, max: 1e6, noNaN: true }),
    afterMs: fc.integer({ min: -HOUR_MS, max: 400 * DAY_MS }),
  });
  fc.assert(
    fc.property(
      fc.array(day, { maxLength: 100 }),
      fc.integer({ min: 1, max: WEEK_MS }),
      (days, halfLifeMs) => {
        let usage = NO_USAGE;
        let nowMs = 1.8e12;
        for (const { afterMs, ...more } of days) {
          nowMs += afterMs;
          usage = addUsage(usage, more, nowMs, halfLifeMs);
          expect(Number.isFinite(usage.amount) && usage.amount >= 0).toBe(true);
          expect(Number.isFinite(usage.rate) && usage.rate >= 0).toBe(true);
        }
      },
    ),
  );
});
