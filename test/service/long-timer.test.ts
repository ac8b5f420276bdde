import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { timeLimit } from '../../service/long-timer.ts';

const DAY_MS = 86_400_000;

beforeEach(() => void vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] }));
afterEach(() => void vi.useRealTimers());

test.for([1, 30, 36_500])('a limit of %d days is over then, and not before', async (days) => {
  const limit = timeLimit(days * DAY_MS);
  await vi.advanceTimersByTimeAsync(days * DAY_MS - 1);
  expect(limit.aborted).toBe(false);
  await vi.advanceTimersByTimeAsync(1);
  expect(limit.reason).toMatchObject({ name: 'TimeoutError' });
});
