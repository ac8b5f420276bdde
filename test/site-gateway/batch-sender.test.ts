import { existsSync, readFileSync } from 'node:fs';
import { userInfo } from 'node:os';
import { join } from 'node:path';
import { beforeEach, describe, expect, test, vi } from 'vitest';
import { attemptId } from '../../core/ids.ts';
import { BatchSilence } from '../../site-gateway/lrms/batch/batch-command.ts';
import {
  type BatchOrder,
  keyOf,
  type SubmitAnswer,
} from '../../site-gateway/lrms/batch/batch-system.ts';
import { type BatchQueue, beginJob, openQueue } from '../fakes/batch-queue.ts';
import { until } from '../support/daemons.ts';
import { openPort, SOON } from '../support/lrms-port.ts';
import { testDirs } from '../support/test-dirs.ts';

// These wait for many looks each.
vi.setConfig({ testTimeout: 300_000 });

const makeDir = testDirs('batch-sender');
let dir: string;
beforeEach(() => {
  dir = makeDir();
});

const FULL: SubmitAnswer = { kind: 'full', words: 'no more jobs' };

/** Takes an order: the first task of the first one is job 1.1. */
const take = ({ token, count }: BatchOrder, { jobs, orders }: BatchQueue): SubmitAnswer => {
  const nth = orders.length;
  const jobOf = (index: number): string => `${nth}.${index}`;
  for (let index = 1; index <= count; index += 1)
    jobs.set(keyOf({ token, index }), { id: jobOf(index), state: 'waits', reason: '' });
  return { kind: 'submitted', jobOf };
};
const untilOrders = (queue: BatchQueue, count: number): Promise<void> =>
  until('it is submitted', async () => queue.orders.length === count, SOON.timeout);

describe('a task that is given up', () => {
  test('is not submitted again where there was no room for it, and others are', async () => {
    const queue = openQueue(async (order, all) => (order.needs.cpus > 1 ? FULL : take(order, all)));
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
    const queue = openQueue(async (order, all) => {
      if (all.orders.length === 1) throw new BatchSilence('no answer in 30 s');
      return take(order, all);
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
    const queue = openQueue(async (order, all) => {
      if (all.orders.length <= 2) throw new BatchSilence('no answer in 30 s');
      if (order.needs.cpus === 1) await slow.promise;
      return take(order, all);
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
    const queue = openQueue(async (order, all) => {
      await slow.promise;
      return take(order, all);
    });
    await using port = await openPort(queue.system, dir);
    const { id } = port.submit('one', 'exit 3');
    await untilOrders(queue, 1);
    port.lrms.cancel(id, 0);
    expect(await port.endOf('one')).toMatchObject({ kind: 'not-started' });
    await queue.lookedAt();
    slow.resolve();
    await until('it is signalled', async () => queue.signalled.length > 0, SOON.timeout);
    expect(queue.signalled).toEqual(['1.1']);
    expect(queue.jobs.size).toBe(0);
  });

  test('leaves the queue where the late answer is none, and a look shows its job', async () => {
    const slow = Promise.withResolvers<void>();
    const queue = openQueue(async (order, all) => {
      await slow.promise;
      take(order, all);
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
    expect(queue.signalled).toEqual(['1.1']);
  });
});

describe('what found no room and waits no more keeps nothing else out', () => {
  test('where all of it were given up meanwhile', async () => {
    const slow = Promise.withResolvers<void>();
    const queue = openQueue(async (order, all) => {
      if (all.orders.length > 1) return take(order, all);
      await slow.promise;
      return FULL;
    });
    await using port = await openPort(queue.system, dir);
    const ids = ['one', 'two', 'three'];
    for (const id of ids) port.submit(id, 'exit 3');
    await untilOrders(queue, 1);
    for (const id of ids) port.lrms.cancel(attemptId(id), 0);
    for (const id of ids) expect(await port.endOf(id)).toMatchObject({ reason: 'CANCELLED' });
    slow.resolve();
    const words = 'the queue takes no more jobs: no more jobs';
    await until('it is full', async () => port.closedReasons.includes(words), SOON.timeout);
    port.submit('later', 'exit 3');
    await untilOrders(queue, 2);
    expect(port.lrms.state().closedReason).toBe('');
  });

  test('where an earlier try, without an answer, has come to the queue', async () => {
    const queue = openQueue(async (order, all) => {
      if (all.orders.length === 1) throw new BatchSilence('no answer in 30 s');
      const answer = take(order, all);
      return all.orders.length === 2 ? FULL : answer;
    });
    await using port = await openPort(queue.system, dir);
    port.submit('one', 'exit 3');
    await untilOrders(queue, 2);
    port.submit('later', 'exit 3');
    await untilOrders(queue, 3);
    expect(port.lrms.state().closedReason).toBe('');
  });
});

/** A timer is too coarse. */
const spin = async (ms: number): Promise<void> => {
  const untilMs = performance.now() + ms;
  while (performance.now() < untilMs) await new Promise((go) => setImmediate(go));
};
const isTaken = ({ orders }: BatchQueue, least: number): boolean =>
  orders.filter(({ count }) => count === 1).length >= least;

describe('a submission that is too large', () => {
  const ids = Array.from({ length: 10 }, (_, at) => `t${at}`);
  const countsOf = ({ orders }: BatchQueue): readonly number[] => orders.map(({ count }) => count);
  const ran = (): readonly string[] => readFileSync(join(dir, 'ran'), 'utf8').trim().split('\n');
  /** Runs its jobs one after the other, and those of a submission that it had not taken: these come to nothing. */
  const runAll = async ({ orders }: BatchQueue): Promise<void> => {
    for (const order of orders)
      for (let index = 1; index <= order.count; index += 1) await beginJob(order, index);
  };

  test('goes in in parts, behind a new fence', async () => {
    const queue = openQueue(async (order, all) => (order.count > 3 ? FULL : take(order, all)));
    await using port = await openPort(queue.system, dir);
    for (const id of ids) port.submit(id, 'exit 3');
    await untilOrders(queue, 7);
    await runAll(queue);
    for (const id of ids) expect(await port.endOf(id)).toMatchObject({ exitCode: 3 });
    // A look that comes while the parts are being written down puts others first.
    expect(countsOf(queue).toSorted((a, b) => b - a)).toEqual([10, 5, 5, 3, 3, 2, 2]);
    expect(ran().toSorted()).toEqual(ids);
  });

  test('becomes smaller by one a look, and its parts wait for the first', async () => {
    const queue = openQueue(async () => FULL);
    // No look comes before the parts are written down.
    await using port = await openPort(queue.system, dir, [], 2_000);
    for (const id of ids) port.submit(id, 'exit 3');
    await untilOrders(queue, 6);
    expect(countsOf(queue)).toEqual([10, 5, 3, 2, 1, 1]);
    for (const id of ids) port.lrms.cancel(attemptId(id), 0);
    for (const id of ids) expect(await port.endOf(id)).toMatchObject({ reason: 'CANCELLED' });
    await queue.lookedAt();
    expect(port.lrms.state().closedReason).toBe('');
  });

  test('loses what was given up meanwhile', async () => {
    const slow = Promise.withResolvers<void>();
    const queue = openQueue(async (order, all) => {
      await slow.promise;
      return order.count > 3 ? FULL : take(order, all);
    });
    await using port = await openPort(queue.system, dir);
    for (const id of ids) port.submit(id, 'exit 3');
    await untilOrders(queue, 1);
    for (const id of ids.slice(2, 8)) {
      port.lrms.cancel(attemptId(id), 0);
      expect(await port.endOf(id)).toMatchObject({ reason: 'CANCELLED' });
    }
    slow.resolve();
    await untilOrders(queue, 3);
    await runAll(queue);
    for (const id of ['t0', 't9']) expect(await port.endOf(id)).toMatchObject({ exitCode: 3 });
    expect(countsOf(queue)).toEqual([10, 2, 2]);
    expect(ran().toSorted()).toEqual(['t0', 't1', 't8', 't9']);
  });

  test('loses what is given up at whatever moment', async () => {
    const pairs = Array.from({ length: 60 }, (_, at) => at);
    const lose: ((at: number) => void)[] = [];
    const queue = openQueue(async (order, all) => {
      if (order.count === 1) return take(order, all);
      const at = order.needs.memoryBytes - 2 ** 26;
      void spin(at / 50).then(() => lose[0]?.(at));
      return FULL;
    });
    await using port = await openPort(queue.system, dir);
    lose.push((at) => port.lrms.cancel(attemptId(`lost${at}`), 0));
    for (const at of pairs)
      for (const id of [`kept${at}`, `lost${at}`])
        port.submit(id, 'exit 3', { memoryBytes: 2 ** 26 + at });
    await until('all have their turn', async () => isTaken(queue, pairs.length), SOON.timeout);
    await queue.lookedAt();
    await runAll(queue);
    for (const at of pairs) {
      expect(await port.endOf(`kept${at}`)).toMatchObject({ kind: 'exited', exitCode: 3 });
      expect(await port.endOf(`lost${at}`)).toMatchObject({ reason: 'CANCELLED' });
    }
    expect(ran().toSorted()).toEqual(pairs.map((at) => `kept${at}`).toSorted());
  });

  test('keeps what an earlier try, without an answer, has begun', async () => {
    const queue = openQueue(async (order, all) => {
      const { orders, jobs } = all;
      if (orders.length === 1) throw new BatchSilence('no answer in 30 s');
      if (orders.length > 2) return take(order, all);
      // The first one comes late.
      const key = keyOf({ token: order.token, index: 1 });
      jobs.set(key, { id: '7', state: 'runs', reason: '' });
      void beginJob(order).then(() => jobs.delete(key));
      await until('it runs', async () => existsSync(join(dir, 'ran')), SOON.timeout);
      return FULL;
    });
    await using port = await openPort(queue.system, dir);
    for (const id of ids) port.submit(id, 'sleep 0.5; exit 3');
    await untilOrders(queue, 4);
    await runAll(queue);
    for (const id of ids) expect(await port.endOf(id)).toMatchObject({ exitCode: 3 });
    expect(countsOf(queue)).toEqual([10, 10, 5, 4]);
    expect(ran().toSorted()).toEqual(ids);
  });
});
