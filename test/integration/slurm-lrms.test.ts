import { writeFileSync } from 'node:fs';
import { userInfo } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { pause } from '../../service/background.ts';
import { systemClock } from '../../service/clock.ts';
import { openLog } from '../../service/log.ts';
import { openBatchLrms } from '../../site-gateway/lrms/batch/batch.ts';
import { keyOf } from '../../site-gateway/lrms/batch/batch-system.ts';
import type { LrmsListener } from '../../site-gateway/lrms/lrms.ts';
import { openSlurm, type SlurmOptions } from '../../site-gateway/lrms/slurm/slurm.ts';
import { lrmsContract } from '../contract/lrms.contract.ts';
import { SELF } from '../fakes/job-owners.ts';
import { processesNaming } from '../support/daemons.ts';
import { type SlurmCluster, startSlurm } from '../support/slurm-cluster.ts';

/** Nodes sleep when they are told to; what wakes them is the test. */
const POWER_SAVING = [
  'SuspendProgram=/bin/true',
  'ResumeProgram=/bin/true',
  'SuspendTime=1000000',
  'SuspendTimeout=1',
  'ResumeTimeout=600',
  'SlurmctldParameters=power_save_interval=1,power_save_min_interval=0',
];
let cluster: SlurmCluster;
beforeAll(async () => {
  cluster = await startSlurm({
    nodes: 1,
    cpus: 2,
    memoryMb: 1_000,
    each: 'Gres=gpu:a100_40g:2 Feature=avx512,ib',
    gres: ['null', 'zero'].map((file) => `Name=gpu Type=a100_40g File=/dev/${file}`),
    settings: ['Licenses=flex:3', 'GresTypes=gpu', ...POWER_SAVING],
  });
});
afterAll(() => cluster[Symbol.asyncDispose]());

const openSystem = (more: Partial<SlurmOptions> = {}) =>
  openSlurm({
    conf: cluster.conf,
    path: process.env['PATH'] ?? '',
    partitions: [],
    account: '',
    licences: { matlab: 'flex' },
    reservation: '',
    extraArgs: [],
    clock: systemClock,
    ...more,
  });
const openOn = (spool: string, listener: LrmsListener) =>
  openBatchLrms({
    system: openSystem(),
    spool,
    clock: systemClock,
    log: openLog('test', 'warn'),
    listener,
    pollMs: 500,
  });

lrmsContract('Slurm', openOn, { many: 10, inOrder: false });

test('says how long a task would wait, by what runs there and its time limit', async () => {
  await cluster.untilIdle();
  const expected = async () => (await openSystem().poll(SELF)).capacity.expectedWaitMs;
  expect(await expected()).toBeLessThan(2_000);
  const filled = await cluster.run(
    'sbatch',
    ...['--parsable', '-o', '/dev/null', '-t', '10', '-n', '2', '--wrap', 'sleep 600'],
  );
  const running = () => cluster.run('squeue', '-h', '-t', 'R');
  await expect.poll(running).not.toBe('');
  const wait = await expected();
  expect(wait).toBeGreaterThan(5 * 60_000);
  expect(wait).toBeLessThanOrEqual(10 * 60_000 + 2_000);
  await cluster.run('scancel', filled.trim());
});

test('a partition that was closed since the last look refuses no task, and is seen at the next', async () => {
  await cluster.untilIdle();
  const system = openSystem();
  const closed = async (): Promise<string> => (await system.poll(SELF)).closedReason;
  const setState = (state: string): Promise<string> =>
    cluster.run('scontrol', 'update', 'PartitionName=main', `State=${state}`);
  expect(await closed()).toBe('');
  await setState('DRAIN');
  const needs = { cpus: 1, memoryBytes: 2 ** 26, gpus: 0, nodes: 1, walltimeMs: 60_000 };
  const script = join(cluster.dir, 'patient');
  writeFileSync(script, '#!/bin/sh\n');
  const order = { directory: cluster.dir, script, count: 1, needs, comment: 'patient' };
  const answer = await system.submit({ token: 'c'.repeat(16), ...order });
  expect(answer).toMatchObject({ kind: 'full', words: expect.stringMatching(/not available/) });
  expect(await closed()).toBe('partition main is DRAIN');
  await setState('UP');
});

test('asks Slurm for the licences that it counts, and for no others', async () => {
  await cluster.untilIdle();
  const needs = { cpus: 1, memoryBytes: 2 ** 26, gpus: 0, nodes: 1, walltimeMs: 60_000 };
  const system = openSystem();
  await system.poll(SELF);
  const script = join(cluster.dir, 'nothing');
  writeFileSync(script, '#!/bin/sh\n');
  const submit = (token: string, licences: Readonly<Record<string, number>>) =>
    system.submit({
      token,
      directory: cluster.dir,
      script,
      count: 1,
      needs: { ...needs, licences },
      comment: 'licences',
    });
  expect(await submit('a'.repeat(16), { matlab: 2, ansys: 1 })).toMatchObject({
    kind: 'submitted',
  });
  expect(await submit('b'.repeat(16), { matlab: 4 })).toMatchObject({
    kind: 'refused',
    words: expect.stringMatching(/license/i),
  });
  expect(await cluster.run('squeue', '-h', '-t', 'all', '-o', '%j %W')).toMatch(/a{16} flex:2$/m);
});

test('a cluster whose slurmd was killed leaves no process behind', async () => {
  const other = await startSlurm({ nodes: 1, cpus: 1, memoryMb: 500 });
  await other.run('sbatch', '-o', '/dev/null', '--wrap', 'sleep 1000');
  const running = () => other.run('squeue', '-h', '-t', 'R');
  await expect.poll(running).not.toBe('');
  await other.kill('n1');
  expect(processesNaming(other.dir)).not.toEqual([]);
  await other[Symbol.asyncDispose]();
  expect(processesNaming(other.dir)).toEqual([]);
});

test('a node that Slurm lets sleep is capacity, and is woken for a task', async () => {
  const soon = { timeout: 100_000, interval: 200 };
  // Nothing that another test has left is to wake it.
  await expect.poll(() => cluster.run('squeue', '-h'), soon).toBe('');
  await cluster.untilIdle();
  const system = openSystem();
  const whole = { capacity: { cpus: 2, usableCpus: 2, gpus: 2, maxNodes: 1 }, closedReason: '' };
  const state = () => cluster.run('scontrol', 'show', 'node', 'n1');
  await cluster.run('scontrol', 'update', 'NodeName=n1', 'State=POWER_DOWN');
  await expect.poll(state, soon).toMatch(/State=IDLE\+POWERED_DOWN /);
  expect(await system.poll(SELF)).toMatchObject(whole);
  const script = join(cluster.dir, 'wakes');
  writeFileSync(script, '#!/bin/sh\n');
  const needs = { cpus: 2, memoryBytes: 2 ** 26, gpus: 0, nodes: 1, walltimeMs: 60_000 };
  const element = { token: 'd'.repeat(16), index: 1 };
  const answer = await system.submit({
    ...{ token: element.token, directory: cluster.dir, script, count: 1, needs },
    comment: 'wakes a node',
  });
  if (answer.kind !== 'submitted') throw new TypeError(answer.words);
  const job = async () => (await system.poll(SELF)).jobs.get(keyOf(element));
  const waits = { state: 'waits', reason: 'its nodes are being made ready' };
  await expect.poll(job, soon).toMatchObject(waits);
  await expect.poll(state, soon).toMatch(/NOT_RESPONDING\+POWERING_UP /);
  expect(await system.poll(SELF)).toMatchObject(whole);
  // Woken is a node that says that it was booted since, in whole seconds, and up to one too early.
  await pause(2_000);
  await cluster.kill('n1');
  cluster.start('n1', '-b');
  await expect.poll(state, soon).toMatch(/State=ALLOCATED /);
  expect(await system.poll(SELF)).toMatchObject(whole);
  // Its job follows when Slurm looks at it next, within half a minute.
  await cluster.run('scancel', answer.jobOf(1));
});

test('nodes of a reservation are for its jobs alone', async () => {
  await cluster.untilIdle();
  const cpus = async (reservation = '') =>
    (await openSystem({ reservation }).poll(SELF)).capacity.cpus;
  const change = (...words: string[]) => cluster.run('scontrol', ...words);
  expect(await cpus()).toBe(2);
  const whose = ['start=now', 'duration=60', `users=${userInfo().username}`, 'nodes=n1'];
  await change('create', 'reservation=grid', ...whose);
  try {
    await expect.poll(() => cpus(), { timeout: 100_000, interval: 500 }).toBe(0);
    expect(await cpus('grid')).toBe(2);
    await expect(cpus('nope')).rejects.toThrow("there is no reservation 'nope'");
    const said = await change('show', 'node', 'n1');
    expect(said).toContain('RESERVED');
  } finally {
    await change('delete', 'reservation=grid');
  }
});

test('offers features and models of GPUs, and asks for what a task is to have of them', async () => {
  await cluster.untilIdle();
  const system = openSystem({ partitions: ['main', 'long'] });
  const { queues } = (await system.poll(SELF)).capacity;
  const offered = { features: ['avx512', 'ib'], gpusPerNode: 2, gpuModels: ['a100_40g'] };
  expect(queues).toMatchObject([offered, offered]);
  const script = join(cluster.dir, 'sleeps');
  writeFileSync(script, '#!/bin/sh\nexec sleep 60\n');
  const needs = { cpus: 1, memoryBytes: 2 ** 26, gpus: 1, nodes: 1, walltimeMs: 60_000 };
  const answer = await system.submit({
    token: '0123456789abcde0',
    directory: cluster.dir,
    script,
    count: 1,
    needs: { ...needs, gpuModel: 'A100', queue: 'long' },
    comment: 'one GPU',
  });
  if (answer.kind !== 'submitted') throw new TypeError(answer.words);
  const job = answer.jobOf(1);
  const show = () => cluster.run('scontrol', '-o', 'show', 'job', job);
  await expect.poll(show).toMatch(/JobState=RUNNING/);
  expect(await show()).toMatch(/Partition=long .*TresPerNode=gres:gpu:a100_40g:1/);
  const others = await cluster.run(
    'sbatch',
    ...['--parsable', '-o', '/dev/null', '-t', '10', '--gres=gpu:1', '--wrap', 'sleep 60'],
  );
  const gpus = async () => (await system.poll(SELF)).capacity;
  await expect.poll(gpus).toMatchObject({ gpus: 2, usableGpus: 1 });
  await cluster.run('scancel', job, others.trim());
});
