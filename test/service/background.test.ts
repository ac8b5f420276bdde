import { expect, test } from 'vitest';
import { aborted, atMost } from '../../service/background.ts';

test('work is waited for so long at most, and what it throws until then is thrown', async () => {
  const timers = (): number =>
    process.getActiveResourcesInfo().filter((name) => name === 'Timeout').length;
  const before = timers();
  const never = new Promise<never>(() => undefined);
  await atMost(1, never);
  await atMost(2 ** 30, Promise.resolve());
  await expect(atMost(2 ** 30, Promise.reject(new Error('broken')))).rejects.toThrow('broken');
  expect(timers()).toBe(before);
});

test('a signal that has fired before is heard as one that fires', async () => {
  const stop = new AbortController();
  const heard = aborted(stop.signal);
  stop.abort();
  await expect(heard).resolves.toBeUndefined();
  await expect(aborted(stop.signal)).resolves.toBeUndefined();
});
