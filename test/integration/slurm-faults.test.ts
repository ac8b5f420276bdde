import {
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { attemptId } from '../../core/ids.ts';
import { State } from '../../proto/gen/grid/v1/common.ts';
import { pause } from '../../service/background.ts';
import { systemClock } from '../../service/clock.ts';
import { openLog } from '../../service/log.ts';
import { openBatchLrms } from '../../site-gateway/lrms/batch/batch.ts';
import type { Lrms, LrmsTask, TaskEnd } from '../../site-gateway/lrms/lrms.ts';
import { openSlurm, type SlurmOptions } from '../../site-gateway/lrms/slurm/slurm.ts';
import { openLiveGrid } from '../fakes/live-grid.ts';
import { startTestSite } from '../fakes/test-site.ts';
import { type SlurmCluster, startSlurm } from '../support/slurm-cluster.ts';
import { makeStumbling, type Stumbling } from '../support/stumbling.ts';

const CPUS = 64;
const GUARDED = 'PartitionName=guarded Nodes=n1 AllowAccounts=phys State=UP';
let cluster: SlurmCluster;
let dir: string;
let bin: string;
let stumble: Stumbling['stumble'];
let callsOf: Stumbling['callsOf'];
beforeAll(async () => {
  cluster = await startSlurm({ nodes: 1, cpus: CPUS, memoryMb: 8_000, settings: [GUARDED] });
});
afterAll(() => cluster[Symbol.asyncDispose]());
beforeEach(async () => {
  // They look for the only job that there is.
  await cluster.untilIdle();
  dir = mkdtempSync(join(tmpdir(), 'hanse-slurm-faults-'));
  const real = process.env['PATH'] ?? '';
  ({ bin, stumble, callsOf } = makeStumbling(join(dir, 'bin'), ['sbatch', 'squeue'], real));
});
afterEach(() => rmSync(dir, { recursive: true, maxRetries: 5 }));

const linesOf = (file: string): readonly string[] => readFileSync(file, 'utf8').trim().split('\n');

const queue = async (format: string): Promise<readonly string[]> =>
  (await cluster.run('squeue', '-h', '-r', '-o', format)).trim().split('\n');
/** Fills the cluster; gives what ends that. */
const fill = async (): Promise<() => Promise<string>> => {
  const args = ['--parsable', `--cpus-per-task=${CPUS}`, '--mem=1', '--output=/dev/null'];
  const job = (await cluster.run('sbatch', ...args, '--wrap=sleep 300')).trim();
  await expect.poll(() => queue('%T'), SOON).toEqual(['RUNNING']);
  return () => cluster.run('scancel', job);
};
const SOON = { timeout: 120_000, interval: 100 };

describe('a gateway that is killed', () => {
  test('before sbatch has answered finds the job by its name, and nothing runs twice', async () => {
    await using grid = await openLiveGrid();
    const settings = ['lrms: slurm', `slurm: {conf: ${cluster.conf}, bin: ${bin}}`];
    await using site = await startTestSite(grid, 'killed', [...settings, 'staging-patience: 0s']);
    const free = await fill();
    stumble('sbatch', 'keep-the-answer');
    const command = ['sh', '-c', `echo ran >>${dir}/ran`];
    await site.place([{ id: 'once', spec: { command } }]);
    await expect.poll(() => queue('%T %k'), SOON).toContain('PENDING grid attempt once');
    await site.kill();
    stumble('sbatch', 'not');
    await site.start();
    await free();
    expect(await site.outcomeOf('once')).toMatchObject({ state: State.STATE_DONE });
    expect(linesOf(join(dir, 'ran'))).toEqual(['ran']);
    expect(callsOf('sbatch')).toHaveLength(1);
  });
});

describe('the LRMS port on Slurm', () => {
  let lrms: Lrms;
  let started: string[];
  let ends: Map<string, TaskEnd>;
  const open = (more: Partial<SlurmOptions> = {}): Promise<Lrms> =>
    openBatchLrms({
      system: openSlurm({
        conf: cluster.conf,
        path: [bin, process.env['PATH']].join(delimiter),
        partitions: [],
        account: '',
        reservation: '',
        licences: {},
        extraArgs: [],
        clock: systemClock,
        ...more,
      }),
      spool: dir,
      clock: systemClock,
      log: openLog('test', 'silent'),
      listener: {
        started: (id) => started.push(id),
        ended: (id, end) => ends.set(id, end),
        changed: () => undefined,
      },
      pollMs: 500,
    });
  beforeEach(async () => {
    started = [];
    ends = new Map();
    lrms = await open();
  });
  afterEach(() => lrms[Symbol.asyncDispose]());
  const reopen = async (more: Partial<SlurmOptions>): Promise<void> => {
    await lrms[Symbol.asyncDispose]();
    lrms = await open(more);
  };

  const submit = (id: string, script: string): LrmsTask => {
    const directory = join(dir, 'attempts', id);
    for (const own of ['work', 'tmp']) mkdirSync(join(directory, own), { recursive: true });
    const needs = {
      nodes: 1,
      gpus: 0,
      cpus: 1,
      memoryBytes: 2 ** 26,
      walltimeMs: 300_000,
      sandbox: 'account',
      network: 'any',
    } as const;
    const env = { PATH: '/usr/bin:/bin' };
    const command = ['sh', '-c', `echo ${id} >>${dir}/ran; ${script}`];
    const task: LrmsTask = {
      id: attemptId(id),
      directory,
      command,
      env,
      stdin: '/dev/null',
      ...needs,
    };
    lrms.submit(task);
    return task;
  };
  const begun = (id: string): Promise<void> => expect.poll(() => started, SOON).toContain(id);
  const endOf = async (id: string): Promise<TaskEnd | undefined> => {
    await expect.poll(() => ends.has(id), SOON).toBe(true);
    return ends.get(id);
  };
  const closedReason = (): string => lrms.state().closedReason;
  const go = (): void => writeFileSync(join(dir, 'go'), '');
  const untilGo = (): string => `until test -e ${dir}/go; do sleep 0.1; done`;

  test('submits 200 equal tasks as one array, each of which runs once', async () => {
    const ids = Array.from({ length: 200 }, (_, at) => `many-${at}`);
    for (const id of ids) submit(id, 'true');
    await expect.poll(() => ends.size, SOON).toBe(ids.length);
    expect([...ends.values()].filter((end) => end.kind !== 'exited')).toEqual([]);
    expect(linesOf(join(dir, 'ran')).toSorted()).toEqual(ids.toSorted());
    expect(callsOf('sbatch')).toHaveLength(1);
  });

  test('submits again what sbatch had not told Slurm when the gateway ended', async () => {
    stumble('sbatch', 'lose');
    const task = submit('lost', 'exit 6');
    await expect.poll(() => callsOf('sbatch'), SOON).toHaveLength(1);
    await lrms[Symbol.asyncDispose]();
    stumble('sbatch', 'not');
    lrms = await open();
    expect(await lrms.adopt(task)).toBe(true);
    expect(await endOf('lost')).toMatchObject({ kind: 'exited', exitCode: 6 });
    expect(linesOf(join(dir, 'ran'))).toEqual(['lost']);
  });

  const requeue = async (): Promise<string> => {
    const [job = ''] = await queue('%A');
    await cluster.run('scontrol', 'update', `JobId=${job}`, 'Requeue=1');
    await cluster.run('scontrol', 'requeue', job);
    return job;
  };

  test('takes a job out of the queue that Slurm has ended and put back', async () => {
    submit('requeued', 'sleep 300');
    await begun('requeued');
    const job = await requeue();
    const detail = `Slurm's job ${job} was ended and put back into the queue`;
    const vanished = { kind: 'vanished', reason: 'TASK_VANISHED' };
    expect(await endOf('requeued')).toMatchObject({
      ...vanished,
      detail: expect.stringContaining(detail),
    });
    await expect.poll(() => queue('%A'), SOON).toEqual(['']);
    expect(linesOf(join(dir, 'ran'))).toEqual(['requeued']);
  });

  test('takes up a task whose submission is hours old', async () => {
    const task = submit('old', `${untilGo()}; exit 5`);
    await begun('old');
    await lrms[Symbol.asyncDispose]();
    const before = new Date(Date.now() - 7_200_000);
    for (const token of readdirSync(join(dir, 'submissions')))
      utimesSync(join(dir, 'submissions', token), before, before);
    lrms = await open();
    // A gateway has more to read before it comes to this.
    await pause(500);
    expect(await lrms.adopt(task)).toBe(true);
    go();
    expect(await endOf('old')).toMatchObject({ kind: 'exited', exitCode: 5 });
    expect(linesOf(join(dir, 'ran'))).toEqual(['old']);
  });

  test('gives up what it cannot write down, and goes on', async () => {
    const submissions = join(dir, 'submissions');
    renameSync(submissions, `${submissions}.away`);
    submit('unwritten', 'true');
    const detail = expect.stringContaining(submissions);
    expect(await endOf('unwritten')).toMatchObject({ reason: 'SPOOL_UNWRITABLE', detail });
    renameSync(`${submissions}.away`, submissions);
    submit('written', 'true');
    expect(await endOf('written')).toMatchObject({ kind: 'exited', exitCode: 0 });
    expect(linesOf(join(dir, 'ran'))).toEqual(['written']);
  });

  test.for([
    ['what it has not', ['--constraint=nope'], /^Slurm did not take it: Invalid feature spec/],
    ['what sbatch sees', ['--gres=nope:1'], /^Slurm did not take it: Invalid generic resource/],
    ['an option', ['--nope'], /^Slurm did not take it: unrecognized option '--nope'/],
  ] as const)("tells in Slurm's own words that it refuses %s", async ([, extraArgs, words]) => {
    await reopen({ extraArgs });
    submit('refused', 'true');
    const detail = expect.stringMatching(words);
    expect(await endOf('refused')).toMatchObject({ reason: 'SITE_REFUSED', detail });
  });

  test("tells in Slurm's own words that the account may not use a partition", async () => {
    await reopen({ partitions: ['guarded'], account: 'chem' });
    const { id } = submit('barred', 'true');
    const words = /^waits in Slurm: Job's account not .*\(guarded allows phys\)/;
    await expect.poll(() => lrms.waitReason(id), SOON).toMatch(words);
    lrms.cancel(id, 0);
    expect(await endOf('barred')).toMatchObject({ kind: 'not-started', reason: 'CANCELLED' });
  });

  test('closes the site whose configuration names a partition that is not there', async () => {
    await reopen({ partitions: ['nope'] });
    expect(closedReason()).toMatch(
      /^Slurm does not answer since .*: there is no partition 'nope'$/,
    );
  });

  test('offers no node that is drained, and offers it again', async () => {
    const capacity = () => lrms.state().capacity;
    expect(capacity()).toMatchObject({ cpus: CPUS });
    await cluster.run('scontrol', 'update', 'NodeName=n1', 'State=DRAIN', 'Reason=mending');
    await expect.poll(capacity, SOON).toMatchObject({ cpus: 0, usableCpus: 0 });
    expect(closedReason()).toMatch(/^Slurm: no node of partition main is up: n1 .*\(mending\)$/);
    await cluster.run('scontrol', 'update', 'NodeName=n1', 'State=RESUME');
    await expect.poll(capacity, SOON).toMatchObject({ cpus: CPUS, usableCpus: CPUS });
    expect(closedReason()).toBe('');
  });

  test('never runs a task again that Slurm starts again', async () => {
    submit('again', "trap '' TERM; while :; do sleep 0.1; done");
    await begun('again');
    const job = await requeue();
    await expect.poll(() => queue('%T'), SOON).toEqual(['PENDING']);
    await cluster.run('scontrol', 'update', `JobId=${job}`, 'StartTime=now');
    expect(await endOf('again')).toMatchObject({ kind: 'vanished', reason: 'TASK_VANISHED' });
    expect(await cluster.run('scontrol', 'show', 'job', job)).toMatch(/COMPLETED[^]*Restarts=1 /);
    expect(linesOf(join(dir, 'ran'))).toEqual(['again']);
  });

  test('says that the site ended a task which its administrator has cancelled', async () => {
    submit('unloved', 'sleep 300');
    await begun('unloved');
    await cluster.run('scancel', ...(await queue('%A')));
    expect(await endOf('unloved')).toMatchObject({ kind: 'vanished', reason: 'SITE_CANCELLED' });
  });

  test.for([
    ['hangs', 'hang', /^Slurm does not answer since .*: squeue gave no answer in 10 s$/],
    ['prints garbage', 'garbage', /^Slurm does not .* cannot be understood: '<h1>502 Bad/],
    ['prints half a line', 'half', /^Slurm does not .* cannot be understood: '/],
  ] as const)('closes the site while squeue %s, and loses nothing', async ([, how, reason]) => {
    submit('before', untilGo());
    await begun('before');
    stumble('squeue', how);
    await expect.poll(closedReason, SOON).toMatch(reason);
    submit('meanwhile', 'true');
    go();
    expect(await endOf('before')).toMatchObject({ kind: 'exited', exitCode: 0 });
    stumble('squeue', 'not');
    expect(await endOf('meanwhile')).toMatchObject({ kind: 'exited', exitCode: 0 });
    await expect.poll(closedReason, SOON).toBe('');
    expect(linesOf(join(dir, 'ran'))).toEqual(['before', 'meanwhile']);
  });

  test('outlives slurmctld', async () => {
    submit('ends-meanwhile', untilGo());
    submit('ends-later', `${untilGo()}; until test -e ${dir}/later; do sleep 0.1; done; exit 4`);
    await begun('ends-meanwhile');
    await begun('ends-later');
    await cluster.untilSaved('both');
    await cluster.kill('slurmctld');
    go();
    expect(await endOf('ends-meanwhile')).toMatchObject({ kind: 'exited', exitCode: 0 });
    submit('waits', 'true');
    cluster.start('slurmctld');
    expect(await endOf('waits')).toMatchObject({ kind: 'exited', exitCode: 0 });
    await expect.poll(closedReason, SOON).toBe('');
    writeFileSync(join(dir, 'later'), '');
    expect(await endOf('ends-later')).toMatchObject({ kind: 'exited', exitCode: 4 });
    const ran = ['ends-later', 'ends-meanwhile', 'waits'];
    expect(linesOf(join(dir, 'ran')).toSorted()).toEqual(ran);
  });
});
