import { afterAll, beforeAll, expect, test } from 'vitest';
import { systemClock } from '../../service/clock.ts';
import { openLog } from '../../service/log.ts';
import { openBatchLrms } from '../../site-gateway/lrms/batch.ts';
import type { LrmsListener } from '../../site-gateway/lrms/lrms.ts';
import { openSlurm } from '../../site-gateway/lrms/slurm.ts';
import { lrmsContract } from '../contract/lrms.contract.ts';
import { processesNaming } from '../support/daemons.ts';
import { type SlurmCluster, startSlurm } from '../support/slurm-cluster.ts';

let cluster: SlurmCluster;
beforeAll(async () => {
  cluster = await startSlurm({ nodes: 1, cpus: 2, memoryMb: 1_000 });
});
afterAll(() => cluster[Symbol.asyncDispose]());

const openSystem = () =>
  openSlurm({
    conf: cluster.conf,
    path: process.env['PATH'] ?? '',
    partitions: [],
    account: '',
    extraArgs: [],
    uid: process.getuid?.() ?? 0,
    clock: systemClock,
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
  const expected = async () => (await openSystem().poll()).capacity.expectedWaitMs;
  expect(await expected()).toBeLessThan(2_000);
  const filled = await cluster.run(
    'sbatch',
    ...['--parsable', '-o', '/dev/null', '-t', '10', '-n', '2', '--wrap', 'sleep 600'],
  );
  const running = () => cluster.run('squeue', '-h', '-t', 'R');
  await expect.poll(running, { timeout: 20_000 }).not.toBe('');
  const wait = await expected();
  expect(wait).toBeGreaterThan(5 * 60_000);
  expect(wait).toBeLessThanOrEqual(10 * 60_000 + 2_000);
  await cluster.run('scancel', filled.trim());
}, 60_000);

test('a cluster whose slurmd was killed leaves no process behind', async () => {
  const other = await startSlurm({ nodes: 1, cpus: 1, memoryMb: 500 });
  await other.run('sbatch', '-o', '/dev/null', '--wrap', 'sleep 1000');
  const running = () => other.run('squeue', '-h', '-t', 'R');
  await expect.poll(running, { timeout: 20_000 }).not.toBe('');
  await other.kill('n1');
  expect(processesNaming(other.dir)).not.toEqual([]);
  await other[Symbol.asyncDispose]();
  expect(processesNaming(other.dir)).toEqual([]);
}, 60_000);
