import { existsSync, mkdtempSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import { attemptId } from '../../core/ids.ts';
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
  dir = mkdtempSync(join(tmpdir(), 'hanse-slurm-signals-'));
  commands = makeStumbling(join(dir, 'bin'), ['squeue', 'scancel'], PATH);
  port = await open();
});
afterEach(async () => {
  await port[Symbol.asyncDispose]();
  rmSync(dir, { recursive: true, maxRetries: 5 });
});

test.for(['slow', 'hang'] as const)(
  'a task that no look has shown hears TERM, and is killed in time, while squeue is %s',
  async (how) => {
    const [beat, heard] = [join(dir, 'beat'), join(dir, 'heard')];
    commands.stumble('squeue', how);
    port.submit('late', `trap 'date >${heard}' TERM; while :; do date >${beat}; sleep 0.1; done`);
    await port.begun('late');
    await expect.poll(() => existsSync(beat), SOON).toBe(true);
    const askedAtMs = Date.now();
    port.lrms.cancel(attemptId('late'), 1_500, 2_500);
    expect(await port.endOf('late')).toMatchObject({ kind: 'exited', exitCode: 137 });
    expect(statSync(heard).mtimeMs - askedAtMs).toBeLessThan(1_200);
    expect(statSync(beat).mtimeMs - askedAtMs).toBeLessThan(3_700);
    commands.stumble('squeue', 'not');
    await expect.poll(() => cluster.run('squeue', '-h'), SOON).toBe('');
  },
);
