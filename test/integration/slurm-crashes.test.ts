/** Slurm loses a node, its memory, or a part of that: each task has one end, and none runs twice. */
import { appendFileSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import { pause } from '../../service/background.ts';
import { systemClock } from '../../service/clock.ts';
import { openSlurm } from '../../site-gateway/lrms/slurm/slurm.ts';
import { killIfThere, processesNaming } from '../support/daemons.ts';
import { openPort, type Port, SOON } from '../support/lrms-port.ts';
import { type SlurmCluster, startSlurm } from '../support/slurm-cluster.ts';

let cluster: SlurmCluster;
let dir: string;
let port: Port;
beforeAll(async () => {
  cluster = await startSlurm({ nodes: 1, cpus: 2, memoryMb: 4_000 });
});
afterAll(() => cluster[Symbol.asyncDispose]());
beforeEach(async () => {
  await cluster.untilIdle();
  dir = mkdtempSync(join(tmpdir(), 'hanse-slurm-crashes-'));
  const system = openSlurm({
    conf: cluster.conf,
    path: process.env['PATH'] ?? '',
    ...{ partitions: [], account: '', reservation: '', licences: {}, extraArgs: [] },
    clock: systemClock,
  });
  port = await openPort(system, dir);
});
afterEach(async () => {
  await port[Symbol.asyncDispose]();
  rmSync(dir, { recursive: true, maxRetries: 5 });
});

const ran = (): readonly string[] => readFileSync(join(dir, 'ran'), 'utf8').trim().split('\n');
const states = async (): Promise<readonly string[]> =>
  (await cluster.run('squeue', '-h', '-o', '%T')).trim().split('\n').toSorted();
const untilGo = (): string => `until test -e ${dir}/go; do sleep 0.1; done`;
const closedReason = (): string => port.lrms.state().closedReason;

test('a task whose node has died is given up, and the site says that the node is down', async () => {
  port.submit('lost', 'sleep 300');
  await port.begun('lost');
  await cluster.kill('n1');
  for (const pid of processesNaming(dir)) killIfThere(pid);
  await cluster.run('scontrol', 'update', 'NodeName=n1', 'State=DOWN', 'Reason=burnt');
  expect(await port.endOf('lost')).toMatchObject({
    ...{ kind: 'vanished', reason: 'TASK_VANISHED' },
    detail: expect.stringMatching(/was lost with its node \(NODE_FAIL/),
  });
  await expect.poll(closedReason, SOON).toMatch(/no node of partition main is up: n1 DOWN.*burnt/);
  cluster.start('n1');
  await cluster.run('scontrol', 'update', 'NodeName=n1', 'State=RESUME');
  await expect.poll(closedReason, SOON).toBe('');
  expect(ran()).toEqual(['lost']);
});

test('a task waits where Slurm has drained its nodes, and goes on when they are put to work again', async () => {
  const drain = ['State=DRAIN', 'Reason=Duplicate jobid'];
  await cluster.run('scontrol', 'update', 'NodeName=n1', ...drain);
  port.submit('waits', 'exit 5');
  await expect.poll(closedReason, SOON).toMatch(/n1 IDLE\+DRAIN \(Duplicate jobid\)/);
  await expect.poll(states, SOON).toEqual(['PENDING']);
  await expect(cluster.explain('no end')).rejects.toThrow(
    /no end\n[^]*PENDING[^]*n1 \S+ drained Duplicate jobid[^]*n1 state set to DRAIN/,
  );
  using _administrator = cluster.administer();
  expect(await port.endOf('waits')).toMatchObject({ kind: 'exited', exitCode: 5 });
  await expect.poll(closedReason, SOON).toBe('');
});

test('a task whose job Slurm has forgotten never begins, or has vanished', async () => {
  port.submit('ran', `${untilGo()}; sleep 300`, { cpus: 2 });
  await port.begun('ran');
  port.submit('waited', 'true');
  await expect.poll(states, SOON).toEqual(['PENDING', 'RUNNING']);
  await cluster.kill('slurmctld');
  // With nothing of its memory; its nodes remember the numbers of jobs that they were to end.
  appendFileSync(cluster.conf, 'FirstJobId=1000\n');
  cluster.start('slurmctld', '-c');
  expect(await port.endOf('waited')).toEqual({
    ...{ kind: 'not-started', fault: 'site', reason: 'START_FAILED' },
    detail: expect.stringMatching(/never began: it is not known to Slurm any more/),
  });
  expect(await port.endOf('ran')).toMatchObject({
    ...{ kind: 'vanished', reason: 'TASK_VANISHED' },
    detail: expect.stringMatching(/is not known to Slurm any more/),
  });
  expect(ran()).toEqual(['ran']);
});

test('a task whose start Slurm has forgotten runs once, though Slurm starts it again', async () => {
  const set = (state: string): Promise<string> =>
    cluster.run('scontrol', 'update', 'PartitionName=main', `State=${state}`);
  await set('DOWN');
  port.submit('once', `until test -e ${dir}/more; do sleep 0.1; done; exit 5`, { cpus: 2 });
  await expect.poll(states, SOON).toEqual(['PENDING']);
  const kept = await cluster.untilSaved('once');
  await set('UP');
  await port.begun('once');
  await cluster.kill('slurmctld');
  // It may have had the time to write the start down.
  writeFileSync(join(cluster.dir, 'state', 'job_state'), kept);
  cluster.start('slurmctld');
  // Slurm ends it as a job that should not be there, or when it starts it again, or it puts that off and lets it be.
  await Promise.race([port.endOf('once'), pause(5_000)]);
  writeFileSync(join(dir, 'more'), '');
  const detail =
    /^Slurm's job \d+ (?:ended without a word|was ended at the site|was ended and put back into the queue)/;
  expect(await port.endOf('once')).toEqual(
    expect.toBeOneOf([
      expect.objectContaining({ kind: 'exited', exitCode: 5 }),
      expect.objectContaining({ kind: 'vanished', detail: expect.stringMatching(detail) }),
    ]),
  );
  await expect.poll(() => processesNaming(join(dir, 'attempts', 'once')), SOON).toEqual([]);
  expect(ran()).toEqual(['once']);
});
