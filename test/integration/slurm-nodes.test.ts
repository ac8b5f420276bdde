/** A real Slurm with two kinds of nodes: many cores, or much memory. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { queueRefusal } from '../../core/match/queue.ts';
import { systemClock } from '../../service/clock.ts';
import { openSlurm } from '../../site-gateway/lrms/slurm/slurm.ts';
import { SELF } from '../fakes/job-owners.ts';
import { askFor } from '../fakes/offers.ts';
import { type LocalGrid, startLocalGrid } from '../support/local-grid.ts';
import { type SlurmCluster, startSlurm } from '../support/slurm-cluster.ts';

const MIB = 2 ** 20;
const WIDE = { cpus: 8, memoryMb: 1_000 };
const VAST = { cpus: 2, memoryMb: 6_000 };

let cluster: SlurmCluster;
beforeAll(async () => {
  cluster = await startSlurm({ nodes: 2, ...WIDE, others: [VAST] });
});
afterAll(() => cluster[Symbol.asyncDispose]());

const poll = () =>
  openSlurm({
    conf: cluster.conf,
    path: process.env['PATH'] ?? '',
    partitions: [],
    account: '',
    licences: {},
    reservation: '',
    extraArgs: [],
    clock: systemClock,
  }).poll(SELF);
const kindOf = ({ cpus, memoryMb }: typeof WIDE) => ({
  cpus,
  memoryBytes: memoryMb * MIB,
  gpus: 0,
  gpuModels: [],
});

test('tells of both kinds, and of what is free on each', async () => {
  await cluster.untilIdle();
  const kinds = async () => (await poll()).capacity.queues[0]?.kinds;
  expect(await kinds()).toEqual([
    { ...kindOf(WIDE), nodes: 2, freeCpus: 16 },
    { ...kindOf(VAST), nodes: 1, freeCpus: 2 },
  ]);
  const sleep = ['--parsable', '-o', '/dev/null', '--wrap', 'sleep 60'];
  const jobs = await Promise.all([
    cluster.run('sbatch', '-n', '3', '--mem=10', '-w', 'n1', ...sleep),
    cluster.run('sbatch', '-n', '1', '--mem=10', '-w', 'n3', ...sleep),
  ]);
  await expect.poll(kinds).toMatchObject([{ freeCpus: 13 }, { freeCpus: 1 }]);
  await cluster.run('scancel', ...jobs.map((job) => job.trim()));
});

test('what is offered takes a task exactly where Slurm does', async () => {
  const { queues } = (await poll()).capacity;
  const takes = (cpus: number, memoryMb: number, nodes: number): boolean => {
    const resources = { cpus, memoryBytes: memoryMb * MIB, nodes, walltimeMs: 60_000 };
    return queueRefusal(askFor({}, resources), { queues }) === undefined;
  };
  const isTaken = (cpus: number, memoryMb: number, nodes: number): Promise<boolean> => {
    const size = [`-N${nodes}`, `--ntasks-per-node=${cpus}`, `--mem=${memoryMb}M`, '-t1'];
    const asked = cluster.run('sbatch', '--test-only', ...size, '--wrap', 'true');
    return asked.then(
      () => true,
      () => false,
    );
  };
  const asks = [1, 2, 3, 8, 9].flatMap((cpus) =>
    [10, 1_000, 1_001, 6_000, 6_001].flatMap((memoryMb) =>
      [1, 2, 3, 4].map((nodes) => [cpus, memoryMb, nodes] as const),
    ),
  );
  const answers = asks.map((ask) => [...ask, takes(...ask)]);
  const slurms = await Promise.all(asks.map(async (ask) => [...ask, await isTaken(...ask)]));
  expect(answers).toEqual(slurms);
  expect(answers.filter(([, , , taken]) => taken)).toHaveLength(24);
});

describe('a grid over it', () => {
  let grid: LocalGrid;
  beforeAll(async () => {
    grid = await startLocalGrid({
      sites: 1,
      siteSettings: [{ lrms: 'slurm', slurm: { conf: cluster.conf }, cpus: 18 }],
    });
  });
  afterAll(() => grid[Symbol.asyncDispose]());
  const said = async (...args: readonly string[]): Promise<string> => {
    const { code, stdout, stderr } = await grid.grid(args);
    expect({ code, stderr }).toMatchObject({ code: 0 });
    return stdout.trim();
  };

  test('runs each task on a node that it fits', async () => {
    const node = ['--', 'sh', '-c', 'echo "on $SLURMD_NODENAME"'];
    const vast = await said('submit', '--memory', '5000M', '--cpus', '2', ...node);
    const wide = await said('submit', '--memory', '900M', '--cpus', '8', ...node);
    await said('wait', vast, wide);
    expect(await said('logs', vast)).toBe('on n3');
    expect(await said('logs', wide)).toMatch(/^on n[12]$/);
    const shown = await said('site', 'status', 'luebeck');
    expect(shown).toMatch(/^main +2 +8 +1000 MiB +\d+$/m);
    expect(shown).toMatch(/^main +1 +2 +5.9 GiB +\d$/m);
  });

  test('says why a task waits that fits no node, and does not send it', async () => {
    const id = await said('submit', '--memory', '5000M', '--cpus', '8', '--', 'true');
    const why: unknown = JSON.parse(await said('why', id, '--json'));
    const detail =
      "needs a node with 8 cpus and 4.9 GiB, its nearest queue 'main' has nodes with 8 cpus and 1000 MiB or 2 cpus and 5.9 GiB";
    expect(why).toMatchObject({
      verdicts: [{ refusal: 'queue-too-small', detail, lasting: true }],
      advice: [
        'with `cpus: 2`, 1 site could run it: luebeck',
        'with `memory: 1000M`, 1 site could run it: luebeck',
      ],
    });
    expect(JSON.parse(await said('status', id, '--json'))).toMatchObject({ state: 'queued' });
  });
});
