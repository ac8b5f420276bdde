import { execFile } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir, userInfo } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { attemptId } from '../../core/ids.ts';
import { systemClock } from '../../service/clock.ts';
import { openLog } from '../../service/log.ts';
import { openBatchLrms } from '../../site-gateway/lrms/batch/batch.ts';
import { findLrms } from '../../site-gateway/lrms/find-lrms.ts';
import { openHTCondor } from '../../site-gateway/lrms/htcondor/htcondor.ts';
import type { Lrms, LrmsTask, TaskEnd } from '../../site-gateway/lrms/lrms.ts';

/** Runs a command of HTCondor. */
const condor = async (command: string, ...args: readonly string[]): Promise<string> =>
  (await promisify(execFile)(command, [...args])).stdout.trim();
const queue = (format: string): Promise<string> =>
  condor('condor_q', '-format', format, 'ClusterId');
const SOON = { timeout: 30_000, interval: 200 };

let dir: string;
let lrms: Lrms;
let ends: Map<string, TaskEnd>;
let began: Set<string>;
beforeEach(async () => {
  dir = mkdtempSync(join(tmpdir(), 'hanse-condor-'));
  ends = new Map();
  began = new Set();
  lrms = await open();
});
afterEach(async () => {
  await lrms[Symbol.asyncDispose]();
  await condor('condor_rm', '-all').catch(() => '');
  rmSync(dir, { recursive: true });
});

const open = (part: Partial<Parameters<typeof openHTCondor>[0]> = {}): Promise<Lrms> =>
  openBatchLrms({
    system: openHTCondor({
      config: process.env['CONDOR_CONFIG'] ?? '',
      path: process.env['PATH'] ?? '',
      slots: '',
      accountingGroup: '',
      patienceMs: 20_000,
      lines: [],
      user: userInfo().username,
      ...part,
    }),
    spool: dir,
    clock: systemClock,
    log: openLog('test', 'error'),
    listener: {
      started: (id) => began.add(id),
      ended: (id, end) => ends.set(id, end),
      changed: () => undefined,
    },
    pollMs: 500,
  });

const submit = (id: string, script: string, part: Partial<LrmsTask> = {}): void => {
  const directory = join(dir, 'attempts', id);
  for (const name of ['work', 'tmp']) mkdirSync(join(directory, name), { recursive: true });
  lrms.submit({
    id: attemptId(id),
    directory,
    command: ['sh', '-c', script],
    env: { PATH: '/usr/bin:/bin' },
    stdin: '/dev/null',
    nodes: 1,
    gpus: 0,
    cpus: 1,
    memoryBytes: 2 ** 26,
    walltimeMs: 60_000,
    sandbox: 'account',
    network: 'any',
    ...part,
  });
};
const endOf = async (id: string): Promise<TaskEnd | undefined> => {
  await expect.poll(() => ends.has(id), SOON).toBe(true);
  return ends.get(id);
};
const begun = (id: string): Promise<void> => expect.poll(() => began.has(id), SOON).toBe(true);

describe('on HTCondor', () => {
  test('`grid site enrol` finds the pool', async () => {
    expect(await findLrms(process.env, undefined)).toMatchObject({
      lrms: 'htcondor',
      words: expect.stringMatching(/^HTCondor \d+\.\d+\.\d+, a pool of 1 machine$/),
      elsewhere: false,
      settings: { htcondor: { config: process.env['CONDOR_CONFIG'] } },
    });
  });

  test('the pool says what it has, and what is free for the grid', async () => {
    submit('one', 'sleep 60');
    await begun('one');
    await expect
      .poll(() => lrms.state(), SOON)
      .toMatchObject({
        closedReason: '',
        capacity: {
          cpus: 2,
          memoryBytes: 2_000 * 2 ** 20,
          usableCpus: 2,
          maxNodes: 1,
          queues: [{ name: 'pool', cpusPerNode: 2, freeCpus: 1 }],
        },
      });
  });

  test('equal tasks are the processes of one cluster, each of which runs once', async () => {
    for (let at = 0; at < 20; at++) submit(`many-${at}`, `echo "$JOB_ID" >>${join(dir, 'ran')}`);
    await expect.poll(() => ends.size, { timeout: 60_000 }).toBe(20);
    const ran = readFileSync(join(dir, 'ran'), 'utf8').trim().split('\n');
    expect(new Set(ran).size).toBe(20);
    expect(new Set(ran.map((job) => job.split('.')[0])).size).toBe(1);
  });

  test('a task that ignores TERM is killed with all that it started, and leaves the queue', async () => {
    submit(
      'deaf',
      `trap '' TERM; (trap '' TERM; while :; do date >${join(dir, 'lives')}; sleep 0.1; done) & wait; sleep 60`,
    );
    await begun('deaf');
    lrms.cancel(attemptId('deaf'), 1_000);
    expect(await endOf('deaf')).toMatchObject({ kind: 'exited', exitCode: 137 });
    await expect.poll(() => queue('%d'), SOON).toBe('');
    rmSync(join(dir, 'lives'), { force: true });
    await new Promise((resolve) => setTimeout(resolve, 500));
    expect(() => readFileSync(join(dir, 'lives'))).toThrow('ENOENT');
  });

  test('what the site removes is told from a failure, waiting or running', async () => {
    submit('runs', 'sleep 60', { cpus: 2 });
    await begun('runs');
    submit('waits', 'true');
    await expect.poll(() => queue('%d '), SOON).toMatch(/^\d+ \d+$/);
    const [first = '', second = ''] = (await queue('%d ')).split(' ');
    await condor('condor_rm', second);
    expect(await endOf('waits')).toMatchObject({ kind: 'not-started', reason: 'SITE_CANCELLED' });
    await condor('condor_rm', first);
    expect(await endOf('runs')).toMatchObject({ kind: 'vanished', reason: 'SITE_CANCELLED' });
  });

  test('a job that a person holds waits and says so, and runs when it is released', async () => {
    submit('full', 'sleep 60', { cpus: 2 });
    await begun('full');
    submit('held', 'true');
    await expect.poll(() => queue('%d '), SOON).toMatch(/^\d+ \d+$/);
    const [first = '', second = ''] = (await queue('%d ')).split(' ');
    await condor('condor_hold', '-reason', 'ask Ada first', second);
    await expect
      .poll(() => lrms.waitReason(attemptId('held')), SOON)
      .toContain('waits in HTCondor: held: ask Ada first');
    await condor('condor_release', second);
    await condor('condor_rm', first);
    expect(await endOf('held')).toMatchObject({ kind: 'exited', exitCode: 0 });
  });

  test.for([
    [
      'held',
      ['condor_hold', '-reason', 'node is hot'],
      /put back into the queue \(held: node is hot/,
    ],
    ['taken off its node', ['condor_vacate_job', '-fast'], /put back into the queue/],
  ] as const)(
    'a task that is %s while it runs is lost, and its job leaves the queue',
    async ([, [command, ...args], detail]) => {
      submit('runs', `echo ran >>${join(dir, 'ran')}; sleep 60`);
      await begun('runs');
      await condor(command, ...args, await queue('%d'));
      expect(await endOf('runs')).toMatchObject({
        kind: 'vanished',
        reason: 'TASK_VANISHED',
        detail: expect.stringMatching(detail),
      });
      await expect.poll(() => queue('%d'), SOON).toBe('');
      expect(readFileSync(join(dir, 'ran'), 'utf8')).toBe('ran\n');
    },
  );

  test('a job that no node can start says why, and leaves the queue', async () => {
    await lrms[Symbol.asyncDispose]();
    lrms = await open({ lines: ['executable = /nowhere/batch-script'] });
    submit('lost', 'true');
    expect(await endOf('lost')).toMatchObject({
      kind: 'not-started',
      fault: 'site',
      reason: 'START_FAILED',
      detail: expect.stringMatching(/could not be started \(.*\/nowhere\/batch-script/s),
    });
    await expect.poll(() => queue('%d'), SOON).toBe('');
  });

  test('a job that cannot be held to its requirements is refused in the words of condor_submit', async () => {
    await lrms[Symbol.asyncDispose]();
    lrms = await open({ lines: ['requirements = (('] });
    submit('bad', 'true');
    expect(await endOf('bad')).toMatchObject({
      kind: 'not-started',
      fault: 'site',
      reason: 'SITE_REFUSED',
      detail: expect.stringMatching(/HTCondor did not take it: .*requirements/is),
    });
  });

  test('a pool that does not answer closes the site and says so', async () => {
    const config = join(dir, 'condor_config');
    const text = readFileSync(process.env['CONDOR_CONFIG'] ?? '', 'utf8');
    writeFileSync(config, `${text}\nCOLLECTOR_HOST = 127.0.0.1:9\nSCHEDD_HOST = nobody\n`);
    await lrms[Symbol.asyncDispose]();
    lrms = await open({ config });
    expect(lrms.state().closedReason).toMatch(
      /^HTCondor does not answer since .*: .*(?:connect|find|fetch)/i,
    );
  });
});
