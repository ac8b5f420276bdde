import { expect, onTestFinished, test, vi } from 'vitest';
import { aborted, atMost } from '../../service/background.ts';

test('work is waited for so long at most, and what it throws until then is thrown', async () => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
  onTestFinished(() => void vi.useRealTimers());
  const waiting = atMost(1_000, new Promise<never>(() => undefined));
  await vi.advanceTimersByTimeAsync(1_000);
  await waiting;
  await atMost(2 ** 30, Promise.resolve());
  await expect(atMost(2 ** 30, Promise.reject(new Error('broken')))).rejects.toThrow('broken');
  expect(vi.getTimerCount()).toBe(0);
});

test('a signal that has fired before is heard as one that fires', async () => {
  const stop = new AbortController();
  const heard = aborted(stop.signal);
  stop.abort();
  await expect(heard).resolves.toBeUndefined();
  await expect(aborted(stop.signal)).resolves.toBeUndefined();
});
