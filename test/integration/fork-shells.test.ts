import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { attemptId } from '../../core/ids.ts';
import { systemClock } from '../../service/clock.ts';
import { openLog } from '../../service/log.ts';
import { openForkLrms } from '../../site-gateway/lrms/fork/fork.ts';
import type { Lrms, TaskEnd } from '../../site-gateway/lrms/lrms.ts';
import { BARE_SANDBOX } from '../../site-gateway/lrms/sandbox/sandbox.ts';

const BURN = 'i=0; while [ $i -lt 400000 ]; do i=$((i+1)); done';

describe('shells that start tasks', () => {
  let spool: string;
  let lrms: Lrms;
  const ends = new Map<string, PromiseWithResolvers<TaskEnd>>();
  beforeEach(async () => {
    spool = mkdtempSync(join(tmpdir(), 'hanse-shells-'));
    lrms = await open();
  });
  afterEach(async () => {
    await lrms[Symbol.asyncDispose]();
    rmSync(spool, { recursive: true });
  });
  const open = (): Promise<Lrms> =>
    openForkLrms({
      sandbox: BARE_SANDBOX,
      spool,
      cpus: 1,
      memoryBytes: 2 ** 30,
      cores: [],
      firstCore: 0,
      clock: systemClock,
      log: openLog('test', 'silent'),
      listener: {
        started: () => undefined,
        ended: (id, end) => ends.get(id)?.resolve(end),
        changed: () => undefined,
      },
    });

  /** Runs a task to its end; what it said, by lines. */
  const run = async (id: string, script: string): Promise<{ end: TaskEnd; said: string[] }> => {
    const directory = join(spool, 'attempts', id);
    for (const own of ['work', 'tmp']) mkdirSync(join(directory, own), { recursive: true });
    const ended = Promise.withResolvers<TaskEnd>();
    ends.set(id, ended);
    lrms.submit({
      id: attemptId(id),
      directory,
      command: ['sh', '-c', script],
      env: { PATH: '/usr/bin:/bin', IFS: 'x', MINE: id },
      stdin: '/dev/null',
      nodes: 1,
      gpus: 0,
      cpus: 1,
      memoryBytes: 2 ** 26,
      walltimeMs: 60_000,
      sandbox: 'account',
      network: 'any',
    });
    const end = await ended.promise;
    const said = readFileSync(join(directory, 'stdout'), 'utf8').trim().split('\n');
    return { end, said };
  };
  const shellOf = async (id: string, script = ''): Promise<string> => {
    const { said } = await run(id, `echo $PPID; ${script}`);
    return said[0] ?? '';
  };

  test('one has the next task, too, and nothing of the one before', async () => {
    const first = await run('first', `echo $PPID; export OTHER=1; cd /; umask 077; ulimit -n 10`);
    const second = await run('second', `echo $PPID; pwd; umask; ulimit -n; env | sort`);
    expect(second.said[0]).toBe(first.said[0]);
    expect(second.said.slice(1, 3)).toEqual([join(spool, 'attempts/second/work'), '0022']);
    expect(Number(second.said[3])).toBeGreaterThan(10);
    expect(second.said).toContain('MINE=second');
    expect(second.said.filter((line) => /^(OTHER|_grid)/.test(line))).toEqual([]);
  });

  test.for([
    ['left a process behind', 'sleep 300 & exit 0'],
    ['killed its shell', 'kill -KILL $PPID'],
  ])('the next task has another where one %s', async ([, script]) => {
    const first = await shellOf('first', script);
    const second = await run('second', 'echo $PPID; exit 3');
    expect(second.end).toMatchObject({ kind: 'exited', exitCode: 3, leftBehind: [] });
    expect(second.said[0]).not.toBe(first);
  });

  test('each task is told its own time alone', async () => {
    const burnt = await run('burnt', BURN);
    await new Promise((resolve) => setTimeout(resolve, 300));
    const begun = performance.now();
    const { end } = await run('idle', 'exit 0');
    const atMostMs = performance.now() - begun + 50;
    const cpuMs = burnt.end.kind === 'exited' ? burnt.end.usage.cpuMs : 0;
    expect(cpuMs).toBeGreaterThan(50);
    expect(end.kind === 'exited' && end.usage.cpuMs).toBeLessThan(cpuMs / 2);
    expect(end.kind === 'exited' && end.usage.wallMs).toBeLessThan(atMostMs);
  });

  test('a task ignores no signal', async () => {
    const { said } = await run('signals', 'grep SigIgn /proc/self/status');
    expect(said[0]).toMatch(/^SigIgn:\s+0+$/);
  });

  test('a gateway that comes back finds a task of the second use of a shell', async () => {
    await run('first', BURN);
    const directory = join(spool, 'attempts', 'second');
    const second = run('second', 'until [ -e go ]; do sleep 0.05; done; exit 6');
    await expect.poll(() => existsSync(join(directory, 'started'))).toBe(true);
    await lrms[Symbol.asyncDispose]();
    const begun = performance.now();
    lrms = await open();
    // It does not wait for a shell whose task has begun.
    expect(performance.now() - begun).toBeLessThan(8_000);
    const ended = ends.get('second');
    expect(await lrms.adopt(taskAgain(directory))).toBe(true);
    writeFileSync(join(directory, 'work', 'go'), '');
    expect(await ended?.promise).toMatchObject({ kind: 'exited', exitCode: 6 });
    await second;
  });
});

const taskAgain = (directory: string): Parameters<Lrms['adopt']>[0] => ({
  id: attemptId('second'),
  directory,
  command: [],
  env: {},
  stdin: '/dev/null',
  nodes: 1,
  gpus: 0,
  cpus: 1,
  memoryBytes: 2 ** 26,
  walltimeMs: 60_000,
  sandbox: 'account',
  network: 'any',
});
