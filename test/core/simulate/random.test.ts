import { describe, expect, test } from 'vitest';
import { type Distribution, draw } from '../../../core/simulate/distribution.ts';
import { openRandom, xoshiro } from '../../../core/simulate/random.ts';

const MANY = 100_000;
const numbers = (count: number, ...seeds: readonly [number, ...number[]]): readonly number[] => {
  const random = openRandom(...seeds);
  return Array.from({ length: count }, () => random.next());
};
const mean = (values: readonly number[]): number =>
  values.reduce((total, value) => total + value, 0) / values.length;

describe('chance', () => {
  test('is the xoshiro128** of its authors', () => {
    const word = xoshiro([1, 2, 3, 4]);
    expect(Array.from({ length: 10 }, word)).toEqual([
      11_520, 0, 5_927_040, 70_819_200, 2_031_721_883, 1_637_235_492, 1_287_239_034, 3_734_860_849,
      3_729_100_597, 4_258_142_804,
    ]);
  });

  test('is the same for the same seed, and another for another seed or salt', () => {
    const base = numbers(5, 1);
    expect(numbers(5, 1)).toEqual(base);
    for (const other of [numbers(5, 2), numbers(5, 1, 0), numbers(5, 1, 1), numbers(5, 2 ** 40)])
      expect(other).not.toEqual(base);
  });

  test.for<[number, ...number[]]>([[1], [2], [3, 7], [3, 8, 1]])('of %s is uniform', (seeds) => {
    const buckets = Array.from({ length: 100 }, () => 0);
    for (const value of numbers(MANY, ...seeds)) buckets[Math.floor(value * 100)]! += 1;
    const expected = MANY / buckets.length;
    const chiSquare = buckets.reduce((sum, seen) => sum + (seen - expected) ** 2 / expected, 0);
    // 99 degrees of freedom: over 149 happens once in a thousand times.
    expect(chiSquare).toBeLessThan(149);
  });

  test('of neighbouring salts is not correlated', () => {
    const [a, b] = [numbers(MANY, 1, 5), numbers(MANY, 1, 6)];
    const product = mean(a.map((value, index) => (value - 0.5) * ((b[index] ?? 0) - 0.5)));
    expect(Math.abs(product * 12)).toBeLessThan(0.01);
  });
});

test.each<[string, Distribution, number]>([
  ['fixed', { kind: 'fixed', ms: 7 }, 7],
  ['exp', { kind: 'exp', meanMs: 50 }, 50],
  ['uniform', { kind: 'uniform', leastMs: 10, mostMs: 30 }, 20],
  // The mean of a lognormal is its median times e^(sigma^2/2).
  ['lognormal', { kind: 'lognormal', medianMs: 10, sigma: 0.8 }, 10 * Math.exp(0.32)],
])('%s draws have the mean of the distribution', (_name, distribution, expected) => {
  const random = openRandom(11);
  const drawn = Array.from({ length: MANY }, () => draw(distribution, random));
  expect(Math.abs(mean(drawn) / expected - 1)).toBeLessThan(0.01);
  expect(Math.min(...drawn)).toBeGreaterThan(0);
});
