import fc from 'fast-check';
import { expect, test } from 'vitest';
import { type LiveLook, nextLookMs } from '../../../core/data/live-pace.ts';

const EVERY_MS = 30_000;
const MIB = 2 ** 20;
const wait = (look: Partial<LiveLook>): number =>
  nextLookMs(
    { sentBytes: 0, grownBytes: 0, tookMs: 100, failures: 0, tasks: 1, ...look },
    EVERY_MS,
  );

test.for<[string, Partial<LiveLook>, number]>([
  ['nothing new', {}, 10_000],
  ['a small change', { sentBytes: 4_096 }, 10_000],
  ['a large one', { sentBytes: MIB, grownBytes: MIB }, 30_000],
  ['a gigabyte that has only grown', { sentBytes: 1_024 * MIB, grownBytes: 1_024 * MIB }, 30_000],
  ['a last chunk that takes the place of another', { sentBytes: MIB, grownBytes: 1_000 }, 31_969],
  ['files that are written anew', { sentBytes: 100 * MIB, grownBytes: 0 }, 600_000],
  ['files that shrink', { sentBytes: MIB, grownBytes: -50 * MIB }, 32_000],
  ['a look that takes long', { tookMs: 20_000 }, 200_000],
  ['the first failure', { failures: 1 }, 30_000],
  ['the third', { failures: 3 }, 120_000],
  ['the thirtieth', { failures: 30 }, 600_000],
  ['a thousand tasks at the site', { tasks: 1_000 }, 100_000],
])('after %s', ([, look, expected]) => {
  expect(wait(look)).toBe(expected);
});

test('it is never sooner than a third of the period, and never later than ten minutes and what the crowd makes of it', () => {
  const look = fc.record({
    sentBytes: fc.nat(2 ** 40),
    grownBytes: fc.integer({ min: -(2 ** 40), max: 2 ** 40 }),
    tookMs: fc.nat(10 ** 8),
    failures: fc.nat(10_000),
    tasks: fc.integer({ min: 1, max: 10_000 }),
  });
  fc.assert(
    fc.property(look, fc.integer({ min: 1_000, max: 86_400_000 }), (one, everyMs) => {
      const ms = nextLookMs(one, everyMs);
      expect(ms).toBeGreaterThanOrEqual(Math.floor(everyMs / 3));
      expect(ms).toBeLessThanOrEqual(Math.max(everyMs, 600_000) * Math.max(1, one.tasks / 100));
    }),
  );
});
