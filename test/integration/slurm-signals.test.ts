import { existsSync, mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import { attemptId } from '../../core/ids.ts';
import { pause } from '../../service/background.ts';
import { systemClock } from '../../service/clock.ts';
import { openSlurm } from '../../site-gateway/lrms/slurm/slurm.ts';
import { openPort, type Port, SOON } from '../support/lrms-port.ts';
import { type SlurmCluster, startSlurm } from '../support/slurm-cluster.ts';
import { makeStumbling, type Stumbling } from '../support/stumbling.ts';

const PATH = process.env['PATH'] ?? '';
let cluster: SlurmCluster;
let dir: string;
let commands: Stumbling;
let port: Port;
const open = (): Promise<Port> => {
  const system = openSlurm({
    conf: cluster.conf,
    path: [commands.bin, PATH].join(delimiter),
    partitions: [],
    account: '',
    reservation: '',
    licences: {},
    extraArgs: [],
    clock: systemClock,
  });
  return openPort(system, dir);
};
beforeAll(async () => {
  cluster = await startSlurm({ nodes: 1, cpus: 4, memoryMb: 1_000 });
});
afterAll(() => cluster[Symbol.asyncDispose]());
beforeEach(async () => {
  // They look for the only job that there is.
  await cluster.untilIdle();
  dir = mkdtempSync(join(tmpdir(), 'hanse-slurm-signals-'));
  commands = makeStumbling(join(dir, 'bin'), ['squeue', 'scancel'], PATH);
  port = await open();
});
afterEach(async () => {
  await port[Symbol.asyncDispose]();
  rmSync(dir, { recursive: true, maxRetries: 5 });
});

/** Shell text of a task that beats, deaf to TERM. */
const beats = (file: string): string => `trap '' TERM; while :; do date >${file}; sleep 0.1; done`;

test.for(['slow', 'hang'] as const)(
  'a task that no look has shown hears TERM, and is killed in time, while squeue is %s',
  async (how) => {
    const [beat, heard] = [join(dir, 'beat'), join(dir, 'heard')];
    commands.stumble('squeue', how);
    port.submit('late', `trap 'date >${heard}' TERM; while :; do date >${beat}; sleep 0.1; done`);
    await port.begun('late');
    await expect.poll(() => existsSync(beat), SOON).toBe(true);
    const askedAtMs = Date.now();
    port.lrms.cancel(attemptId('late'), 7_000, 10_000);
    expect(await port.endOf('late')).toMatchObject({ kind: 'exited', exitCode: 137 });
    // A look takes longer than that.
    expect(statSync(heard).mtimeMs - askedAtMs).toBeLessThan(6_000);
    // Slurm itself kills half a minute after TERM.
    expect(statSync(beat).mtimeMs - askedAtMs).toBeLessThan(25_000);
    commands.stumble('squeue', 'not');
    await expect.poll(() => cluster.run('squeue', '-h'), SOON).toBe('');
  },
);

const STANDS = ': Slurm has suspended it';
/** Enough for a busy machine to suspend a task that has begun. */
const WALLTIME_MS = 15_000;
/** Lets Slurm suspend the only job. */
const suspend = async (id: string): Promise<string> => {
  const job = (await cluster.run('squeue', '-h', '-o', '%A')).trim();
  await cluster.run('scontrol', 'suspend', job);
  await expect.poll(() => port.suspensions, SOON).toEqual([`${id}${STANDS}`]);
  return job;
};

test('the time that Slurm has suspended a job for is no walltime of its task', async () => {
  const go = join(dir, 'go');
  const task = port.submit('stood', `until test -e ${go}; do sleep 0.1; done; exit 3`, {
    walltimeMs: WALLTIME_MS,
  });
  await port.begun('stood');
  const job = await suspend('stood');
  expect(port.lrms.list()).toMatchObject([{ id: 'stood', state: 'suspended' }]);
  await pause(WALLTIME_MS - 4_000);
  // Nor is what a gateway that was away has not seen of it.
  await port[Symbol.asyncDispose]();
  await pause(5_000);
  port = await open();
  expect(await port.lrms.adopt(task)).toBe(true);
  await expect.poll(() => port.suspensions, SOON).toEqual([`stood${STANDS}`]);
  await cluster.run('scontrol', 'resume', job);
  await expect.poll(() => port.suspensions, SOON).toEqual([`stood${STANDS}`, 'stood: ']);
  writeFileSync(go, '');
  expect(await port.endOf('stood')).toMatchObject({ kind: 'exited', exitCode: 3 });
  const end = port.ends.get('stood');
  expect(end?.kind === 'exited' && end.usage.wallMs).toBeLessThan(WALLTIME_MS);
});

test('a task whose job is suspended has its walltime after that, and no more', async () => {
  port.submit('long', 'while :; do sleep 0.1; done', { walltimeMs: WALLTIME_MS });
  await port.begun('long');
  const job = await suspend('long');
  // Others have its core.
  expect(port.lrms.state().capacity).toMatchObject({ cpus: 4, usableCpus: 4 });
  await pause(WALLTIME_MS + 1_000);
  expect(port.ends.has('long')).toBe(false);
  await cluster.run('scontrol', 'resume', job);
  expect(await port.endOf('long')).toMatchObject({ kind: 'limit', limit: 'walltime' });
});

test('a task whose job is suspended ends when it is cancelled', async () => {
  port.submit('still', beats(join(dir, 'still')));
  await port.begun('still');
  await suspend('still');
  const askedAtMs = Date.now();
  port.lrms.cancel(attemptId('still'), 1_000);
  expect(await port.endOf('still')).toMatchObject({ kind: 'exited', exitCode: 137 });
  // Slurm itself would kill it half a minute after it goes on.
  expect(Date.now() - askedAtMs).toBeLessThan(25_000);
});
