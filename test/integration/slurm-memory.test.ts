import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import { systemClock } from '../../service/clock.ts';
import { openSlurm } from '../../site-gateway/lrms/slurm/slurm.ts';
import { openPort, type Port } from '../support/lrms-port.ts';
import { type SlurmCluster, startSlurm } from '../support/slurm-cluster.ts';

/** A Slurm whose jobs the kernel holds to their memory: it ends the process that asks for more, and no other. */
let cluster: SlurmCluster;
let dir: string;
let port: Port;
beforeAll(async () => {
  cluster = await startSlurm({ nodes: 1, cpus: 4, memoryMb: 1_000, isHeld: true });
});
afterAll(() => cluster[Symbol.asyncDispose]());
beforeEach(async () => {
  dir = mkdtempSync(join(tmpdir(), 'hanse-slurm-memory-'));
  const system = openSlurm({
    ...{ conf: cluster.conf, path: process.env['PATH'] ?? '', partitions: [], account: '' },
    ...{ reservation: '', licences: {}, extraArgs: [], clock: systemClock },
  });
  port = await openPort(system, dir);
});
afterEach(async () => {
  await port[Symbol.asyncDispose]();
  rmSync(dir, { recursive: true, maxRetries: 5 });
});

const ALLOWED = 2 ** 26;
const GREEDY = `perl -e 'my $x = "x" x (1 << 28)'`;
/** All of it, which it had for a moment that no look has seen. */
const FULL = { usage: { peakMemoryBytes: expect.closeTo(ALLOWED, -6) } };
const LIMIT = { kind: 'limit', limit: 'memory', allowed: ALLOWED, ...FULL };

test.for([
  ['a program', `exec ${GREEDY}`, { ...LIMIT, exitCode: 137 }],
  ['a program whose child asks for too much', `${GREEDY}; exit 1`, { ...LIMIT, exitCode: 1 }],
  [
    'one that does without its child',
    `${GREEDY}; exit 0`,
    { kind: 'exited', exitCode: 0, ...FULL },
  ],
  ['one that fails by itself', 'exit 1', { kind: 'exited', exitCode: 1 }],
] as const)('the kernel holds %s to its memory', async ([, script, end]) => {
  port.submit('one', script, { memoryBytes: ALLOWED });
  expect(await port.endOf('one')).toMatchObject(end);
});
