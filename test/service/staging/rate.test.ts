import { expect, test } from 'vitest';
import { sha256 } from '../../../service/staging/chunk-store.ts';
import { atRate, openRate, type Rate } from '../../../service/staging/rate.ts';
import { memoryStore } from '../../fakes/memory-store.ts';

test('bytes go at the rate, after a burst of a quarter of a second', async () => {
  const clock = { nowMs: () => 0, monotonicMs: () => performance.now() };
  const rate = openRate(1_000_000, clock);
  const fromMs = performance.now();
  await Promise.all(Array.from({ length: 10 }, () => rate.take(50_000)));
  const tookMs = performance.now() - fromMs;
  expect(tookMs).toBeGreaterThan(450);
  const stop = AbortSignal.timeout(50);
  await rate.take(100_000_000, stop);
  expect(performance.now() - fromMs).toBeLessThan(15_000);
});

test('without a rate nothing waits', async () => {
  const clock = { nowMs: () => 0, monotonicMs: () => 0 };
  await expect(openRate(undefined, clock).take(10 ** 15)).resolves.toBeUndefined();
});

test('what a store gives comes at one rate, and what it is given goes at another', async () => {
  const taken = { incoming: 0, outgoing: 0 };
  const counted = (way: keyof typeof taken): Rate => ({
    take: (bytes) => {
      taken[way] += bytes;
      return Promise.resolve();
    },
  });
  const store = atRate(memoryStore(), counted('incoming'), counted('outgoing'));
  const bytes = Buffer.alloc(100);
  const digest = sha256(bytes);
  await store.put(digest, bytes);
  expect(taken).toEqual({ incoming: 0, outgoing: 100 });
  await store.get(digest);
  await store.receive(digest);
  expect(taken).toEqual({ incoming: 200, outgoing: 100 });
  await store.missing([digest]);
  expect(taken).toEqual({ incoming: 200, outgoing: 100 });
});
