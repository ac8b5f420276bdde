import { setImmediate } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { mapAtOnce } from '../../../service/staging/at-once.ts';

test('works on so many items at a time and not more, and keeps their order', async () => {
  let running = 0;
  let most = 0;
  const doubled = await mapAtOnce(3, [1, 2, 3, 4, 5, 6, 7], async (n) => {
    running += 1;
    most = Math.max(most, running);
    await setImmediate();
    running -= 1;
    return 2 * n;
  });
  expect(doubled).toEqual([2, 4, 6, 8, 10, 12, 14]);
  expect(most).toBe(3);
});

test('begins nothing after a failure, and leaves nothing running behind it', async () => {
  const begun: number[] = [];
  const ended: number[] = [];
  const work = async (n: number): Promise<void> => {
    begun.push(n);
    await (n === 1 ? Promise.reject(new Error('one')) : setImmediate());
    ended.push(n);
  };
  await expect(mapAtOnce(2, [1, 2, 3, 4], work)).rejects.toThrow('one');
  expect([begun, ended]).toEqual([[1, 2], [2]]);
});
