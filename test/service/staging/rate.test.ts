import { expect, test } from 'vitest';
import { openRate } from '../../../service/staging/rate.ts';

test('bytes go at the rate, after a burst of a quarter of a second', async () => {
  const clock = { nowMs: () => 0, monotonicMs: () => performance.now() };
  const rate = openRate(1_000_000, clock);
  const fromMs = performance.now();
  await Promise.all(Array.from({ length: 10 }, () => rate.take(50_000)));
  const tookMs = performance.now() - fromMs;
  expect(tookMs).toBeGreaterThan(450);
  const stop = AbortSignal.timeout(50);
  await rate.take(100_000_000, stop);
  expect(performance.now() - fromMs).toBeLessThan(5_000);
});

test('without a rate nothing waits', async () => {
  const clock = { nowMs: () => 0, monotonicMs: () => 0 };
  await expect(openRate(undefined, clock).take(10 ** 15)).resolves.toBeUndefined();
});
