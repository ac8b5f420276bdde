/** What becomes of a task whose host, or the execd of it, is away. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import { pause } from '../../service/background.ts';
import {
  type GridEngineOptions,
  openGridEngine,
} from '../../site-gateway/lrms/gridengine/gridengine.ts';
import { type GridEngineCluster, startGridEngine } from '../support/gridengine-cluster.ts';
import { openPort, type Port, SOON } from '../support/lrms-port.ts';

const SLOTS = 4;
let cluster: GridEngineCluster;
let dir: string;
let port: Port;
beforeAll(async () => {
  cluster = await startGridEngine({ hosts: 2, slots: SLOTS, memoryMb: 1_000, silentSeconds: 5 });
});
afterAll(() => cluster[Symbol.asyncDispose]());
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'hanse-sge-hosts-'));
});
afterEach(async () => {
  await port[Symbol.asyncDispose]();
  rmSync(dir, { recursive: true, maxRetries: 5 });
});

const open = async (more: Partial<GridEngineOptions>): Promise<void> => {
  port = await openPort(openGridEngine(cluster.options(more)), dir);
};
const queue = async (): Promise<readonly string[]> => {
  const lines = (await cluster.run('qstat')).split('\n').filter((line) => /^ +\d/.test(line));
  return lines.map((line) => line.trim().split(/\s+/)[4] ?? '');
};
const go = (): void => writeFileSync(join(dir, 'go'), '');
const untilGo = (): string => `until test -e ${dir}/go; do sleep 0.1; done`;
const ran = (): readonly string[] => readFileSync(join(dir, 'ran'), 'utf8').trim().split('\n');

test('outlives the execd of a task', async () => {
  await open({ extraArgs: ['-l', 'hostname=n1'] });
  port.submit('orphan', `${untilGo()}; exit 5`);
  await port.begun('orphan');
  await cluster.kill('n1');
  go();
  expect(await port.endOf('orphan')).toMatchObject({ kind: 'exited', exitCode: 5 });
  await cluster.start('n1');
  await expect.poll(queue, SOON).toEqual([]);
});

test('a task that Grid Engine was made to forget, its execd being dead, does not run on', async () => {
  await open({ extraArgs: ['-l', 'hostname=n1'] });
  const beat = join(dir, 'beat');
  port.submit('forgotten', `while :; do echo >>${beat}; sleep 0.1; done`);
  await port.begun('forgotten');
  await expect.poll(queue, SOON).toEqual(['r']);
  await cluster.kill('n1');
  const job = /^ +(\d+)/m.exec(await cluster.run('qstat'))?.[1] ?? '';
  await cluster.run('qdel', '-f', job);
  const end = await port.endOf('forgotten');
  expect(end).toMatchObject({ kind: 'vanished', reason: 'TASK_VANISHED' });
  const stands = async (): Promise<boolean> => {
    const { length } = readFileSync(beat);
    await pause(1_000);
    return readFileSync(beat).length === length;
  };
  await expect.poll(stands, SOON).toBe(true);
  await cluster.start('n1');
  await expect.poll(queue, SOON).toEqual([]);
  expect(ran()).toEqual(['forgotten']);
});

test('gives up a task whose host is lost, which never runs again', async () => {
  await open({ extraArgs: ['-l', 'hostname=n2'], hostPatienceMs: 1_000 });
  port.submit('doomed', untilGo());
  await port.begun('doomed');
  // The script is quicker than the word of it to qmaster.
  await expect.poll(queue, SOON).toEqual(['r']);
  await cluster.crash('n2');
  expect(await port.endOf('doomed')).toMatchObject({
    kind: 'vanished',
    reason: 'TASK_VANISHED',
    detail: expect.stringMatching(/was lost with its node \(host n2 is not heard of since/),
  });
  const left = { cpus: SLOTS, maxNodes: 1 };
  await expect.poll(() => port.lrms.state().capacity, SOON).toMatchObject(left);
  await cluster.start('n2');
  await expect.poll(queue, SOON).toEqual([]);
  expect(ran()).toEqual(['doomed']);
});
