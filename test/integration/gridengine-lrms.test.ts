import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { systemClock } from '../../service/clock.ts';
import { openLog } from '../../service/log.ts';
import { openBatchLrms } from '../../site-gateway/lrms/batch/batch.ts';
import {
  type GridEngineOptions,
  openGridEngine,
} from '../../site-gateway/lrms/gridengine/gridengine.ts';
import type { LrmsListener } from '../../site-gateway/lrms/lrms.ts';
import { lrmsContract } from '../contract/lrms.contract.ts';
import { SELF } from '../fakes/job-owners.ts';
import { type GridEngineCluster, startGridEngine } from '../support/gridengine-cluster.ts';
import { SOON } from '../support/lrms-port.ts';

let cluster: GridEngineCluster;
beforeAll(async () => {
  cluster = await startGridEngine({ hosts: 1, slots: 2, memoryMb: 1_000 });
});
afterAll(() => cluster[Symbol.asyncDispose]());

const openOn = (spool: string, listener: LrmsListener) =>
  openBatchLrms({
    system: openGridEngine(cluster.options()),
    spool,
    clock: systemClock,
    log: openLog('test', 'warn'),
    listener,
    pollMs: 500,
  });

lrmsContract('Grid Engine', openOn, { many: 10, inOrder: false });

/** Asks Grid Engine for a job of two CPUs that sleeps. */
async function submitter(more: Partial<GridEngineOptions>) {
  const system = openGridEngine(cluster.options(more));
  await system.poll(SELF);
  const script = join(cluster.dir, 'nothing');
  writeFileSync(script, '#!/bin/sh\nsleep 60\n', { mode: 0o755 });
  const needs = { cpus: 2, memoryBytes: 2 ** 26, gpus: 0, nodes: 1, walltimeMs: 60_000 };
  return {
    system,
    submit: (token: string, licences: Readonly<Record<string, number>> = {}) =>
      system.submit({
        token,
        directory: cluster.dir,
        script,
        count: 1,
        needs: { ...needs, licences },
        comment: 'by itself',
      }),
  };
}

test('asks Grid Engine for the licences that it counts, and for no others', async () => {
  const complexes = await cluster.run('qconf', '-sc');
  await cluster.configure('-Mc', `${complexes}\nflex flex INT <= YES JOB 0 0\n`);
  await cluster.run('qconf', '-rattr', 'exechost', 'complex_values', 'flex=3', 'global');
  const { system, submit } = await submitter({ licences: { matlab: 'flex' } });
  const taken = await submit('a'.repeat(16), { matlab: 2, ansys: 1 });
  expect(taken).toMatchObject({ kind: 'submitted' });
  const job = taken.kind === 'submitted' ? taken.jobOf(1) : '';
  expect(await cluster.run('qstat', '-j', job)).toMatch(/^hard resource_list:.*flex=2/m);
  expect(await submit('b'.repeat(16), { matlab: 4 })).toMatchObject({ kind: 'refused' });
  await system.signal([job], 'KILL');
});

test('is not told of an end that another job has made up', async () => {
  const token = 'e'.repeat(16);
  const run = async (...args: readonly string[]): Promise<string> => {
    const quiet = ['-terse', '-b', 'y', '-shell', 'n', '-o', '/dev/null', '-j', 'y'];
    return (await cluster.run('qsub', ...quiet, ...args)).trim();
  };
  const system = openGridEngine(cluster.options());
  const job = await run('-N', `grid-${token}`, '/bin/false');
  const told = () => system.autopsy([{ token, index: 1, job }], SELF);
  await expect
    .poll(async () => [...(await told()).values()], SOON)
    .toMatchObject([{ kind: 'ended', words: expect.stringMatching(/^exit 1 /) }]);
  const accounting = readFileSync(join(cluster.dir, 'default/common/accounting'), 'utf8');
  const own = accounting.split('\n').find((line) => line.includes(`grid-${token}`)) ?? '';
  const made = own.replace(/:0:1:/, ':37:137:').replace(/:[^:]*:NONE:[^:]*:0:0$/, '');
  await run('-l', `arch=*|x\n${made}`, '/bin/true');
  await expect.poll(async () => (await told()).size, SOON).toBe(0);
});

test('asks for memory that hosts only measure, and still refuses what can never run', async () => {
  const { system, submit } = await submitter({ memory: 'virtual_free' });
  const taken = await submit('c'.repeat(16));
  expect(taken).toMatchObject({ kind: 'submitted' });
  const job = taken.kind === 'submitted' ? taken.jobOf(1) : '';
  expect(await cluster.run('qstat', '-j', job)).toMatch(/^hard resource_list:.*virtual_free=67/m);
  await system.signal([job], 'KILL');
  const never = await submitter({ memory: 'virtual_free', extraArgs: ['-l', 'num_proc=99'] });
  expect(await never.submit('d'.repeat(16))).toMatchObject({
    kind: 'refused',
    words: expect.stringMatching(/^no suitable queues: .*num_proc/),
  });
});

test('tells how long a task that came now would wait at most, by all that runs and waits', async () => {
  // A look of its own each time: it asks now and then only.
  const waitSeconds = async (): Promise<number | undefined> => {
    const { capacity } = await openGridEngine(cluster.options()).poll(SELF);
    return capacity.expectedWaitMs && capacity.expectedWaitMs / 1_000;
  };
  const jobs: string[] = [];
  const submit = async (...args: readonly string[]): Promise<void> => {
    const quiet = ['-terse', '-b', 'y', '-shell', 'n', '-o', '/dev/null', '-j', 'y'];
    const more = ['-pe', 'smp', '2', '/bin/sleep', '300'];
    jobs.push((await cluster.run('qsub', ...quiet, ...args, ...more)).trim());
  };
  const states = async (): Promise<readonly string[]> =>
    [...(await cluster.run('qstat')).matchAll(/^ +\d+ \S+ sleep +\S+ +(\S+)/gm)].map(
      ([, state = '']) => state,
    );
  await expect.poll(states).toEqual([]);
  // What tests before have left keeps its slots until Grid Engine has taken leave of it.
  await expect.poll(waitSeconds).toBe(0);
  await submit('-l', 'h_rt=500');
  await expect.poll(states).toEqual(['r']);
  const running = await waitSeconds();
  expect(running).toBeGreaterThan(400);
  expect(running).toBeLessThanOrEqual(500);
  await submit('-l', 'h_rt=1000');
  // Neither does one wait for the other: it is held.
  await submit('-h', '-l', 'h_rt=9999');
  const queued = await waitSeconds();
  expect(queued).toBeGreaterThan(1_400);
  expect(queued).toBeLessThanOrEqual(1_500);
  // Nobody knows when that ends.
  await submit('-q', 'long.q');
  expect(await waitSeconds()).toBeUndefined();
  await cluster.run('qdel', ...jobs);
});
