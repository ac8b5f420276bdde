import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Worker } from 'node:worker_threads';
import { beforeEach, describe, expect, test, vi } from 'vitest';
import { attemptId } from '../../core/ids.ts';
import { pause } from '../../service/background.ts';
import { openLog } from '../../service/log.ts';
import { BatchSilence } from '../../site-gateway/lrms/batch/batch-command.ts';
import { type BatchOrder, keyOf } from '../../site-gateway/lrms/batch/batch-system.ts';
import { openSubmissions } from '../../site-gateway/lrms/batch/submissions.ts';
import type { LrmsTask } from '../../site-gateway/lrms/lrms.ts';
import { beginJob, openQueue } from '../fakes/batch-queue.ts';
import { until } from '../support/daemons.ts';
import { openPort, SOON } from '../support/lrms-port.ts';
import { testDirs } from '../support/test-dirs.ts';

// These wait for several looks each.
vi.setConfig({ testTimeout: 300_000 });

/** What a batch system does is the test's choice here; the gateway's script really runs. */
const makeDir = testDirs('batch-fence');
let dir: string;
beforeEach(() => {
  dir = makeDir();
});

const ran = (): string => {
  const file = join(dir, 'ran');
  return existsSync(file) ? readFileSync(file, 'utf8') : '';
};

describe('a task that a batch system refuses', () => {
  test('is not over where an earlier try, without an answer, has begun it', async () => {
    const queue = openQueue(async (order, { orders, jobs }) => {
      if (orders.length === 1) throw new BatchSilence('no answer in 30 s');
      // The first one comes late.
      const key = keyOf({ token: order.token, index: 1 });
      jobs.set(key, { id: '7', state: 'runs', reason: '' });
      void beginJob(order).then(() => jobs.delete(key));
      await until('the task runs', async () => ran() !== '', SOON.timeout);
      return { kind: 'refused', words: 'not any more' };
    });
    await using port = await openPort(queue.system, dir);
    port.submit('late', 'sleep 1; exit 3');
    expect(await port.endOf('late')).toMatchObject({ kind: 'exited', exitCode: 3 });
    expect(queue.orders).toHaveLength(2);
    expect(ran()).toBe('late\n');
  });

  test('is over where none has', async () => {
    const queue = openQueue(async () => ({ kind: 'refused', words: 'no such account' }));
    await using port = await openPort(queue.system, dir);
    port.submit('no', 'exit 3');
    expect(await port.endOf('no')).toMatchObject({ kind: 'not-started', reason: 'SITE_REFUSED' });
  });
});

describe('a task that is given up', () => {
  test('leaves the queue where the spool does not take the word, and does not begin', async () => {
    const queue = openQueue(async ({ token }, { jobs }) => {
      jobs.set(keyOf({ token, index: 1 }), { id: '7', state: 'waits', reason: '' });
      return { kind: 'submitted', jobOf: () => '7' };
    });
    await using port = await openPort(queue.system, dir);
    const { id } = port.submit('one', 'exit 3');
    await until('it is submitted', async () => queue.orders.length === 1, SOON.timeout);
    // Nothing can be linked to it: as on a disk that is full.
    const revoked = join(dir, 'batch-revoked');
    rmSync(revoked);
    mkdirSync(revoked);
    port.lrms.cancel(id, 0);
    await until('it is signalled', async () => queue.signalled.includes('7'), SOON.timeout);
    rmSync(revoked, { recursive: true });
    expect(await port.endOf('one')).toMatchObject({ kind: 'not-started' });
    for (const order of queue.orders) await beginJob(order);
    expect(ran()).toBe('');
  });
});

test('a task is taken up when another one of its submission has been told of, and runs once', async () => {
  const away = Promise.withResolvers<void>();
  const ended: Promise<void>[] = [];
  const queue = openQueue(async (order, { jobs }) => {
    for (const index of [1, 2]) {
      const key = keyOf({ token: order.token, index });
      jobs.set(key, { id: String(index), state: 'runs', reason: '' });
      const work = away.promise.then(() => beginJob(order, index));
      ended.push(work.then(() => void jobs.delete(key)));
    }
    return { kind: 'submitted', jobOf: String };
  });
  const before = await openPort(queue.system, dir);
  const tasks = ['one', 'two'].map((id) => before.submit(id, 'exit 3'));
  await until('they are submitted', async () => queue.orders.length > 0, SOON.timeout);
  await before[Symbol.asyncDispose]();
  away.resolve();
  await Promise.all(ended);
  await using port = await openPort(queue.system, dir);
  for (const task of tasks) {
    expect(await port.lrms.adopt(task)).toBe(true);
    expect(await port.endOf(task.id)).toMatchObject({ kind: 'exited', exitCode: 3 });
    await pause(100);
  }
  expect(queue.orders).toHaveLength(1);
  expect(ran().trim().split('\n').toSorted()).toEqual(['one', 'two']);
});

test('a task that swept away its marks while no gateway looked has begun where its status is there, and runs once', async () => {
  const away = Promise.withResolvers<void>();
  const ended = Promise.withResolvers<void>();
  const queue = openQueue(async (order, { jobs }) => {
    const key = keyOf({ token: order.token, index: 1 });
    jobs.set(key, { id: '7', state: 'waits', reason: '' });
    const run = async (): Promise<void> => {
      await away.promise;
      await beginJob(order);
      jobs.delete(key);
      ended.resolve();
    };
    void run();
    return { kind: 'submitted', jobOf: () => '7' };
  });
  const before = await openPort(queue.system, dir);
  const task = before.submit('swept', `rm ${dir}/submissions/*/1.*; exit 4`);
  await until('it is submitted', async () => queue.orders.length === 1, SOON.timeout);
  await before[Symbol.asyncDispose]();
  away.resolve();
  await ended.promise;
  await using port = await openPort(queue.system, dir);
  expect(await port.lrms.adopt(task)).toBe(true);
  expect(await port.endOf('swept')).toMatchObject({ kind: 'exited', exitCode: 4 });
  await port.begun('swept');
  expect([queue.orders.length, ran()]).toEqual([1, 'swept\n']);
});

test('a status that was made up is believed of what has left the queue, which never begins then', async () => {
  const queue = openQueue(async ({ token }, { jobs }) => {
    jobs.set(keyOf({ token, index: 1 }), { id: '7', state: 'waits', reason: '' });
    return { kind: 'submitted', jobOf: () => '7' };
  });
  await using port = await openPort(queue.system, dir);
  const { id, directory } = port.submit('waits', 'exit 3');
  await until('it is submitted', async () => queue.orders.length === 1, SOON.timeout);
  writeFileSync(join(directory, 'status'), '0 1.0\n0m0.00s 0m0.00s\n0m0.00s 0m0.00s\nend\n');
  await queue.lookedAt();
  await queue.lookedAt();
  expect([port.ends.has(id), port.lrms.list()[0]?.state]).toEqual([false, 'waits']);
  queue.jobs.clear();
  expect(await port.endOf(id)).toMatchObject({ kind: 'exited', exitCode: 0 });
  await port.begun(id);
  for (const order of queue.orders) await beginJob(order);
  expect(ran()).toBe('');
});

describe('a submission', () => {
  const tasksOf = (count: number): readonly LrmsTask[] =>
    Array.from({ length: count }, (_, at) => {
      const directory = join(dir, 'attempts', String(at));
      for (const own of ['work', 'tmp']) mkdirSync(join(directory, own), { recursive: true });
      return {
        id: attemptId(`a${at}`),
        directory,
        command: ['sh', '-c', `echo ${at} >>${dir}/ran`],
        env: { PATH: '/usr/bin:/bin' },
        stdin: '/dev/null',
        nodes: 1,
        gpus: 0,
        cpus: 1,
        memoryBytes: 2 ** 26,
        walltimeMs: 0,
        sandbox: 'account',
        network: 'any',
      };
    });
  const open = () =>
    openSubmissions({ system: {}, spool: dir, log: openLog('test', 'silent') }, () => undefined);

  test('can be revoked though the file for that has gone', async () => {
    using submissions = await open();
    const token = await submissions.prepare(tasksOf(1));
    rmSync(join(dir, 'batch-revoked'));
    expect(await submissions.revoke({ token, index: 1 })).toBe(true);
    await beginJob({
      script: submissions.script,
      directory: submissions.directoryOf(token),
    } as BatchOrder);
    expect(ran()).toBe('');
  });

  test('is forgotten at once: no task is there without the word that it is revoked', async () => {
    const count = 150;
    using submissions = await open();
    const token = await submissions.prepare(tasksOf(count));
    for (let index = 1; index <= count; index += 1) await submissions.revoke({ token, index });
    // Where an account had the run of it, it is removed in the order of the file system.
    writeFileSync(join(submissions.directoryOf(token), 'account'), '');
    const worker = new Worker(OBSERVER, {
      eval: true,
      workerData: { directory: submissions.directoryOf(token), count },
    });
    try {
      await new Promise((resolve) => worker.once('message', resolve));
      const seen = new Promise((resolve) => worker.once('message', resolve));
      await submissions.forget(token);
      expect(await seen).toBe(0);
    } finally {
      await worker.terminate();
    }
    expect(existsSync(submissions.directoryOf(token))).toBe(false);
  });
});

/** Counts elements that a script would begin, until the directory has gone. */
const OBSERVER = `
const { existsSync, lstatSync } = require('node:fs');
const { parentPort, workerData: { directory, count } } = require('node:worker_threads');
const isThere = (name) => lstatSync(directory + '/' + name, { throwIfNoEntry: false }) !== undefined;
parentPort.postMessage('ready');
let open = 0;
while (existsSync(directory))
  for (let index = 1; index <= count; index += 1)
    if (isThere(index) && !isThere(index + '.started') && isThere(index)) open += 1;
parentPort.postMessage(open);
`;
