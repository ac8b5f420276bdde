import { userInfo } from 'node:os';
import { beforeEach, describe, expect, test } from 'vitest';
import { BatchSilence } from '../../site-gateway/lrms/batch/batch-command.ts';
import { keyOf, type SubmitAnswer } from '../../site-gateway/lrms/batch/batch-system.ts';
import { type BatchQueue, openQueue } from '../fakes/batch-queue.ts';
import { until } from '../support/daemons.ts';
import { openPort, SOON } from '../support/lrms-port.ts';
import { testDirs } from '../support/test-dirs.ts';

const makeDir = testDirs('batch-sender');
let dir: string;
beforeEach(() => {
  dir = makeDir();
});

const FULL: SubmitAnswer = { kind: 'full', words: 'no more jobs' };

/** Takes an order of one task as job 7. */
const take = (token: string, { jobs }: BatchQueue): SubmitAnswer => {
  jobs.set(keyOf({ token, index: 1 }), { id: '7', state: 'waits', reason: '' });
  return { kind: 'submitted', jobOf: () => '7' };
};
const untilOrders = (queue: BatchQueue, count: number): Promise<void> =>
  until('it is submitted', async () => queue.orders.length === count, SOON.timeout);

describe('a task that is given up', () => {
  test('is not submitted again where there was no room for it, and others are', async () => {
    const queue = openQueue(async ({ token, needs }, all) =>
      needs.cpus > 1 ? FULL : take(token, all),
    );
    await using port = await openPort(queue.system, dir);
    const { id } = port.submit('big', 'exit 3', { cpus: 2 });
    await untilOrders(queue, 1);
    port.submit('small', 'exit 3');
    port.lrms.cancel(id, 0);
    expect(await port.endOf('big')).toMatchObject({ kind: 'not-started', reason: 'CANCELLED' });
    await queue.lookedAt();
    expect(port.lrms.state().closedReason).toBe('');
    const [first, ...others] = queue.orders.map(({ needs }) => needs.cpus);
    expect(first).toBe(2);
    expect(others.filter((cpus) => cpus === 1)).toEqual([1]);
    await queue.lookedAt();
    expect(queue.orders).toHaveLength(1 + others.length);
  });

  test('is not submitted again where the first try got no answer', async () => {
    const queue = openQueue(async ({ token }, all) => {
      if (all.orders.length === 1) throw new BatchSilence('no answer in 30 s');
      return take(token, all);
    });
    await using port = await openPort(queue.system, dir);
    const { id } = port.submit('one', 'exit 3');
    await untilOrders(queue, 1);
    port.lrms.cancel(id, 0);
    expect(await port.endOf('one')).toMatchObject({ kind: 'not-started' });
    await queue.lookedAt();
    expect(queue.orders).toHaveLength(1);
  });

  test('is never submitted as another than its account', async () => {
    const { username, uid, gid } = userInfo();
    const account = { name: username, uid, gid };
    const queue = openQueue(async () => FULL);
    await using port = await openPort(queue.system, dir, [account]);
    const { id } = port.submit('one', 'exit 3', { account });
    await untilOrders(queue, 1);
    port.lrms.cancel(id, 0);
    expect(await port.endOf('one')).toMatchObject({ kind: 'not-started' });
    await queue.lookedAt();
    expect(queue.orders.filter((order) => order.account?.uid !== uid)).toEqual([]);
    expect(port.lrms.state().closedReason).toBe('');
  });

  test('is not submitted where others are being submitted before it', async () => {
    const slow = Promise.withResolvers<void>();
    const queue = openQueue(async ({ token, needs }, all) => {
      if (all.orders.length <= 2) throw new BatchSilence('no answer in 30 s');
      if (needs.cpus === 1) await slow.promise;
      return take(token, all);
    });
    await using port = await openPort(queue.system, dir);
    port.submit('first', 'exit 3');
    const { id } = port.submit('second', 'exit 3', { cpus: 2 });
    await untilOrders(queue, 3);
    port.lrms.cancel(id, 0);
    expect(await port.endOf('second')).toMatchObject({ kind: 'not-started' });
    slow.resolve();
    await queue.lookedAt();
    expect(queue.orders.map(({ needs }) => needs.cpus)).toEqual([1, 2, 1]);
  });

  test('leaves the queue where it is given up while it is being submitted', async () => {
    const slow = Promise.withResolvers<void>();
    const queue = openQueue(async ({ token }, all) => {
      await slow.promise;
      return take(token, all);
    });
    await using port = await openPort(queue.system, dir);
    const { id } = port.submit('one', 'exit 3');
    await untilOrders(queue, 1);
    port.lrms.cancel(id, 0);
    expect(await port.endOf('one')).toMatchObject({ kind: 'not-started' });
    await queue.lookedAt();
    slow.resolve();
    await until('it is signalled', async () => queue.signalled.length > 0, SOON.timeout);
    expect(queue.signalled).toEqual(['7']);
    expect(queue.jobs.size).toBe(0);
  });

  test('leaves the queue where the late answer is none, and a look shows its job', async () => {
    const slow = Promise.withResolvers<void>();
    const queue = openQueue(async ({ token }, all) => {
      await slow.promise;
      take(token, all);
      throw new BatchSilence('no answer in 30 s');
    });
    await using port = await openPort(queue.system, dir);
    const { id } = port.submit('one', 'exit 3');
    await untilOrders(queue, 1);
    port.lrms.cancel(id, 0);
    expect(await port.endOf('one')).toMatchObject({ kind: 'not-started' });
    await queue.lookedAt();
    slow.resolve();
    await until('it is signalled', async () => queue.signalled.length > 0, SOON.timeout);
    expect(queue.signalled).toEqual(['7']);
  });
});
