import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { attemptId } from '../../core/ids.ts';
import { State } from '../../proto/gen/grid/v1/common.ts';
import { pause } from '../../service/background.ts';
import {
  type GridEngineOptions,
  openGridEngine,
} from '../../site-gateway/lrms/gridengine/gridengine.ts';
import { openLiveGrid } from '../fakes/live-grid.ts';
import { resourcesOf } from '../fakes/offers.ts';
import { startTestSite } from '../fakes/test-site.ts';
import { until } from '../support/daemons.ts';
import { type GridEngineCluster, startGridEngine } from '../support/gridengine-cluster.ts';
import { openPort, type Port, SOON } from '../support/lrms-port.ts';
import { makeStumbling, type Stumbling } from '../support/stumbling.ts';

const SLOTS = 32;
const ALL = ['qsub', 'qstat', 'qdel', 'qconf', 'qalter'];
let cluster: GridEngineCluster;
let dir: string;
let commands: Stumbling;
beforeAll(async () => {
  cluster = await startGridEngine({ hosts: 2, slots: SLOTS, memoryMb: 8_000 });
});
afterAll(() => cluster[Symbol.asyncDispose]());
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'hanse-sge-faults-'));
  const real = [cluster.bin, process.env['PATH']].join(delimiter);
  commands = makeStumbling(join(dir, 'bin'), ALL, real);
});
afterEach(() => rmSync(dir, { recursive: true, maxRetries: 5 }));

const linesOf = (file: string): readonly string[] => readFileSync(file, 'utf8').trim().split('\n');
const queue = async (): Promise<readonly string[]> => {
  const lines = (await cluster.run('qstat')).split('\n').filter((line) => /^ +\d/.test(line));
  return lines.map((line) => line.trim().split(/\s+/)[4] ?? '');
};
const numberOfJob = async (): Promise<string> =>
  /^ +(\d+)/m.exec(await cluster.run('qstat'))?.[1] ?? '';
/** Fills the cluster; gives what ends that. */
const fill = async (): Promise<() => Promise<string>> => {
  const quiet = ['-terse', '-b', 'y', '-shell', 'n', '-o', '/dev/null', '-j', 'y'];
  const args = [...quiet, '-t', `1-${2 * SLOTS}`, '/bin/sleep', '300'];
  const job = (await cluster.run('qsub', ...args)).trim().split('.')[0] ?? '';
  await expect.poll(queue, SOON).toEqual(Array.from({ length: 2 * SLOTS }, () => 'r'));
  return () => cluster.run('qdel', job);
};

describe('a gateway that is killed', () => {
  const settings = (): readonly string[] => [
    ...cluster.settingsWith(commands.bin),
    'staging-patience: 0s',
    'backlog: 1000',
  ];

  test('before qsub has answered finds the job by its name, and nothing runs twice', async () => {
    await using grid = await openLiveGrid();
    await using site = await startTestSite(grid, 'killed', settings());
    const free = await fill();
    commands.stumble('qsub', 'keep-the-answer');
    const command = ['sh', '-c', `echo ran >>${dir}/ran`];
    await site.place([{ id: 'once', spec: { command } }]);
    await expect.poll(queue, SOON).toContain('qw');
    await site.kill();
    commands.stumble('qsub', 'not');
    await site.start();
    await free();
    expect(await site.outcomeOf('once')).toMatchObject({ state: State.STATE_DONE });
    expect(linesOf(join(dir, 'ran'))).toEqual(['ran']);
    expect(commands.callsOf('qsub')).toHaveLength(1);
  });

  test('amid 200 equal tasks runs each of them once, in few arrays', async () => {
    await using grid = await openLiveGrid();
    await using site = await startTestSite(grid, 'amid', settings());
    mkdirSync(join(dir, 'ran'));
    const ids = Array.from({ length: 200 }, (_, at) => `many-${at}`);
    const resources = resourcesOf({ memoryBytes: 2 ** 24, walltimeMs: 300_000 });
    const go = join(dir, 'go');
    const waits = `until test -e ${go}; do sleep 0.5; done`;
    const taskOf = (id: string) => ({
      id,
      spec: { command: ['sh', '-c', `echo ran >>${dir}/ran/${id}; ${waits}`], resources },
    });
    await site.place(ids.map(taskOf));
    await expect.poll(() => readdirSync(join(dir, 'ran')), SOON).toHaveLength(2 * SLOTS);
    await site.kill();
    await site.start();
    writeFileSync(go, '');
    const ended = await site.untilEnded(ids);
    const done = ended.filter(({ state }) => state === State.STATE_DONE);
    expect(new Set(done.map((update) => update.attemptId)).size).toBe(200);
    for (const id of ids) expect(linesOf(join(dir, 'ran', id))).toEqual(['ran']);
    const sizes = commands.callsOf('qsub').map((call) => / -t 1-(\d+) /.exec(call)?.[1] ?? 1);
    expect(sizes.reduce((sum: number, size) => sum + Number(size), 0)).toBe(200);
    // One where the machine is not busy.
    expect(sizes.length).toBeLessThanOrEqual(20);
  });
});

describe('the LRMS port on Grid Engine', () => {
  let port: Port;
  const open = (more: Partial<GridEngineOptions> = {}): Promise<Port> => {
    const path = [commands.bin, process.env['PATH']].join(delimiter);
    return openPort(openGridEngine({ ...cluster.options(more), path }), dir);
  };
  const reopen = async (more: Partial<GridEngineOptions> = {}): Promise<void> => {
    await port[Symbol.asyncDispose]();
    port = await open(more);
  };
  beforeEach(async () => {
    port = await open();
  });
  afterEach(async () => {
    await until('the queue is empty', async () => (await queue()).length === 0);
    await port[Symbol.asyncDispose]();
  });
  const closedReason = (): string => port.lrms.state().closedReason;
  const go = (): void => writeFileSync(join(dir, 'go'), '');
  const untilGo = (): string => `until test -e ${dir}/go; do sleep 0.1; done`;
  const DEAF = "trap '' TERM; while :; do sleep 0.1; done";
  const ran = (): readonly string[] => linesOf(join(dir, 'ran')).toSorted();

  test('submits again what qsub had not told Grid Engine when the gateway ended', async () => {
    commands.stumble('qsub', 'lose');
    const task = port.submit('lost', 'exit 6');
    await expect.poll(() => commands.callsOf('qsub'), SOON).toHaveLength(1);
    await port[Symbol.asyncDispose]();
    commands.stumble('qsub', 'not');
    port = await open();
    expect(await port.lrms.adopt(task)).toBe(true);
    expect(await port.endOf('lost')).toMatchObject({ kind: 'exited', exitCode: 6 });
    expect(ran()).toEqual(['lost']);
  });

  test.for([99, 100])('hands on an exit code of %d, and Grid Engine does nothing', async (code) => {
    port.submit('wish', `exit ${code}`);
    expect(await port.endOf('wish')).toMatchObject({ kind: 'exited', exitCode: code });
    await expect.poll(queue, SOON).toEqual([]);
    expect(ran()).toEqual(['wish']);
  });

  test('never runs a task again that Grid Engine starts again', async () => {
    port.submit('again', untilGo());
    await port.begun('again');
    await cluster.run('qmod', '-f', '-rj', await numberOfJob());
    const end = await port.endOf('again');
    expect(end).toMatchObject({ kind: 'vanished', reason: 'TASK_VANISHED' });
    await expect.poll(queue, SOON).toEqual([]);
    expect(ran()).toEqual(['again']);
  });

  test('says that the site ended a task which its administrator has deleted', async () => {
    port.submit('unloved', 'sleep 300');
    await port.begun('unloved');
    await cluster.run('qdel', await numberOfJob());
    const cancelled = { kind: 'vanished', reason: 'SITE_CANCELLED' };
    expect(await port.endOf('unloved')).toMatchObject(cancelled);
  });

  test('says that the site ended a task that waited', async () => {
    const free = await fill();
    port.submit('waiting', 'true');
    await expect.poll(queue, SOON).toContain('qw');
    const waiting = /^ +(\d+).* qw /m.exec(await cluster.run('qstat'))?.[1] ?? '';
    await expect.poll(() => port.lrms.waitReason(attemptId('waiting')), SOON).toMatch(/full|slots/);
    await cluster.run('qdel', waiting);
    // Grid Engine keeps no account of what has not begun: neither qstat nor qacct knows it any more.
    const detail = expect.stringContaining('never began: it is not known to Grid Engine any');
    expect(await port.endOf('waiting')).toMatchObject({ reason: 'START_FAILED', detail });
    await free();
  });

  test('kills a task that ignores TERM after its grace, whatever the queue allows', async () => {
    port.submit('deaf', DEAF);
    await port.begun('deaf');
    const sinceMs = performance.now();
    port.lrms.cancel(attemptId('deaf'), 1_000);
    expect(await port.endOf('deaf')).toMatchObject({ kind: 'exited', exitCode: 137 });
    const tookMs = performance.now() - sinceMs;
    expect(tookMs).toBeGreaterThan(1_000);
    // The queue gives it a minute.
    expect(tookMs).toBeLessThan(50_000);
  });

  test('ends what a cancelled task has left in process groups of its own', async () => {
    const beat = join(dir, 'beat');
    const inner = `while :; do echo >>${beat}; sleep 0.1; done`;
    port.submit('groups', `perl -e "setpgrp; exec qw(sh -c), q(${inner})" & sleep 300`);
    await expect.poll(() => existsSync(beat), SOON).toBe(true);
    port.lrms.cancel(attemptId('groups'), 20_000);
    expect(await port.endOf('groups')).toMatchObject({ kind: 'exited', exitCode: 143 });
    const { length } = readFileSync(beat);
    await pause(1_000);
    expect(readFileSync(beat)).toHaveLength(length);
  });

  test('ends a task over its memory, which Grid Engine watches by h_vmem', async () => {
    await reopen({ memory: 'h_vmem' });
    port.submit('large', 'for i in $(seq 70); do sleep 60 & done; wait');
    const end = await port.endOf('large');
    expect(end).toMatchObject({ kind: 'limit', limit: 'memory', allowed: 2 ** 26 });
  });

  test('takes away a job that Grid Engine could not start, and says why', async () => {
    chmodSync(join(dir, 'batch-script'), 0o644);
    port.submit('broken', 'true');
    const end = await port.endOf('broken');
    expect(end).toMatchObject({ kind: 'not-started', fault: 'site', reason: 'START_FAILED' });
    expect(end).toMatchObject({ detail: expect.stringMatching(/could not be started \(.*exec/) });
  });

  test.for([
    ['a project', { project: 'nope' }, /the requested project "nope" does not exist$/],
    ['arguments', { extraArgs: ['-l', 'nope=1'] }, /unknown resource "nope"$/],
    ['what no host has', { extraArgs: ['-l', 'num_proc=99'] }, /no suitable queues: .*num_proc/],
  ] as const)("tells in Grid Engine's own words that it refuses %s", async ([, more, words]) => {
    await reopen(more);
    port.submit('refused', 'true');
    expect(await port.endOf('refused')).toMatchObject({
      reason: 'SITE_REFUSED',
      detail: expect.stringMatching(words),
    });
  });

  test('refuses nodes for which there is no parallel environment', async () => {
    port.submit('wide', 'true', { nodes: 2, cpus: 9 });
    const detail = expect.stringContaining('no parallel environment of its queues gives 9 slots');
    expect(await port.endOf('wide')).toMatchObject({ reason: 'SITE_REFUSED', detail });
  });

  test.for([
    ['a queue', { queues: ['nope.q'] }, /^Grid Engine does not .*: there is no queue 'nope.q'$/],
    ['a complex', { memory: 'nope' }, /^Grid Engine does not .*: there is no complex 'nope' that/],
    ['a root', { root: '/nonexistent' }, /^Grid Engine does not answer since .*\/nonexistent/],
  ] as const)(
    'closes the site whose configuration names %s that is not there',
    async ([, more, words]) => {
      await reopen(more);
      expect(closedReason()).toMatch(words);
    },
  );

  test('closes the site while all queues are disabled', async () => {
    await cluster.run('qmod', '-d', '*');
    await expect.poll(closedReason, SOON).toMatch(/^Grid Engine: (?:long|main).q@n\d is d, /);
    expect(port.lrms.state().capacity).toMatchObject({ cpus: 0, usableCpus: 0 });
    await cluster.run('qmod', '-e', '*');
    await expect.poll(closedReason, SOON).toBe('');
    const all = { cpus: 2 * SLOTS, maxNodes: 2 };
    await expect.poll(() => port.lrms.state().capacity, SOON).toMatchObject(all);
  });

  test.for([
    ['hangs', 'hang', /^Grid Engine does not answer since .*: qstat gave no answer in 10 s$/],
    ['prints garbage', 'garbage', /^Grid Engine does not .* cannot be understood: '<h1>502 Bad/],
    ['prints half a line', 'half', /^Grid Engine does not .* cannot be understood: '/],
  ] as const)('closes the site while qstat %s, and loses nothing', async ([, how, reason]) => {
    port.submit('before', untilGo());
    await port.begun('before');
    commands.stumble('qstat', how);
    await expect.poll(closedReason, SOON).toMatch(reason);
    port.submit('meanwhile', 'true');
    go();
    expect(await port.endOf('before')).toMatchObject({ kind: 'exited', exitCode: 0 });
    commands.stumble('qstat', 'not');
    expect(await port.endOf('meanwhile')).toMatchObject({ kind: 'exited', exitCode: 0 });
    await expect.poll(closedReason, SOON).toBe('');
    expect(ran()).toEqual(['before', 'meanwhile']);
  });

  test('outlives qmaster', async () => {
    port.submit('ends-meanwhile', untilGo());
    port.submit('ends-later', `until test -e ${dir}/later; do sleep 0.1; done; exit 4`);
    await port.begun('ends-meanwhile');
    await port.begun('ends-later');
    await cluster.kill('qmaster');
    go();
    expect(await port.endOf('ends-meanwhile')).toMatchObject({ kind: 'exited', exitCode: 0 });
    await expect.poll(closedReason, SOON).toMatch(/^Grid Engine does not answer since/);
    port.submit('waits', 'true');
    await cluster.start('qmaster');
    expect(await port.endOf('waits')).toMatchObject({ kind: 'exited', exitCode: 0 });
    await expect.poll(closedReason, SOON).toBe('');
    writeFileSync(join(dir, 'later'), '');
    expect(await port.endOf('ends-later')).toMatchObject({ kind: 'exited', exitCode: 4 });
    expect(ran()).toEqual(['ends-later', 'ends-meanwhile', 'waits']);
  });

  test('asks one job at a time why it waits where the scheduler keeps no reasons', async () => {
    const schedule = await cluster.run('qconf', '-ssconf');
    const quiet = schedule.replace(/^schedd_job_info .*$/m, 'schedd_job_info false');
    await cluster.configure('-Msconf', quiet);
    const free = await fill();
    port.submit('curious', 'true');
    await expect.poll(() => port.lrms.waitReason(attemptId('curious')), SOON).toMatch(/slots=0/);
    await free();
    expect(await port.endOf('curious')).toMatchObject({ kind: 'exited', exitCode: 0 });
    await cluster.configure('-Msconf', schedule);
  });
});
