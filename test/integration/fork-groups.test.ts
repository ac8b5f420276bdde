import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { attemptId } from '../../core/ids.ts';
import { systemClock } from '../../service/clock.ts';
import { openLog } from '../../service/log.ts';
import { openForkLrms } from '../../site-gateway/lrms/fork/fork.ts';
import type { Lrms, LrmsTask, TaskEnd } from '../../site-gateway/lrms/lrms.ts';
import {
  NO_GROUPS,
  openTaskGroups,
  type TaskGroups,
} from '../../site-gateway/lrms/sandbox/cgroups.ts';
import { BARE_SANDBOX } from '../../site-gateway/lrms/sandbox/sandbox.ts';
import { launchersOf } from '../support/launchers.ts';

const log = openLog('test', 'silent');
const MIB = 2 ** 20;

const trial = mkdtempSync(join(tmpdir(), 'hanse-trial-'));
const tried = await openTaskGroups(trial, log);
tried[Symbol.dispose]();
rmSync(trial, { recursive: true });

test('without control groups a task has none, and nothing fails for it', () => {
  expect(NO_GROUPS.make('x', MIB)).toEqual([]);
  expect(NO_GROUPS.figures('x')).toBeUndefined();
});

describe.for(tried === NO_GROUPS ? [] : ['with control groups'])('%s', () => {
  let spool: string;
  let groups: TaskGroups;
  let lrms: Lrms;
  let ends: Map<string, TaskEnd>;
  let started: string[];
  const open = async (some?: TaskGroups): Promise<void> => {
    groups = some ?? (await openTaskGroups(spool, log));
    lrms = await openForkLrms({
      spool,
      cpus: 2,
      memoryBytes: 2 ** 30,
      cores: [],
      firstCore: 0,
      sandbox: { ...BARE_SANDBOX, groups },
      clock: systemClock,
      log,
      listener: {
        started: (id) => started.push(id),
        ended: (id, end) => ends.set(id, end),
        changed: () => undefined,
      },
    });
  };
  beforeEach(async () => {
    spool = mkdtempSync(join(tmpdir(), 'hanse-groups-'));
    ends = new Map();
    started = [];
    await open();
  });
  afterEach(async () => {
    await lrms[Symbol.asyncDispose]();
    rmSync(spool, { recursive: true });
  });

  const task = (id: string, command: readonly string[], memoryBytes = 64 * MIB): LrmsTask => {
    const directory = join(spool, 'attempts', id);
    for (const own of ['work', 'tmp']) mkdirSync(join(directory, own), { recursive: true });
    return {
      id: attemptId(id),
      directory,
      command,
      env: { PATH: '/usr/bin:/bin' },
      stdin: '/dev/null',
      nodes: 1,
      gpus: 0,
      cpus: 1,
      memoryBytes,
      walltimeMs: 60_000,
      sandbox: 'account',
      network: 'any',
    };
  };
  const endOf = async (id: string): Promise<TaskEnd | undefined> => {
    await expect.poll(() => ends.has(id)).toBe(true);
    return ends.get(id);
  };
  const greedy = 'x = bytearray(300 << 20)\nopen("survived", "w")';

  test('a task that wants more memory than it may have is ended, and its peak is said', async () => {
    lrms.submit(task('greedy', ['python3', '-c', greedy]));
    const end = await endOf('greedy');
    expect(end).toMatchObject({ kind: 'limit', limit: 'memory', allowed: 64 * MIB, exitCode: 137 });
    expect(end).toHaveProperty('usage.peakMemoryBytes', 64 * MIB);
    expect(groups.figures('greedy')).toBeUndefined();
  });

  test.for([
    ['without files that it wrote', `head -c 100000000 /dev/zero >large; sleep 1.5`, 0, 30],
    ['of one that is over within a look', `python3 -c 'x = bytearray(100 << 20)'`, 100, 130],
    [
      'before it wrote more than that',
      `python3 -c 'import time; x = bytearray(100 << 20); time.sleep(3)'; head -c 150000000 /dev/zero >large`,
      100,
      130,
    ],
  ] as const)('its peak is what it needs: %s', async ([, script, least, most]) => {
    lrms.submit(task('needs', ['sh', '-c', script], 256 * MIB));
    expect(await endOf('needs')).toHaveProperty(
      'usage.peakMemoryBytes',
      expect.toSatisfy((bytes: number) => bytes >= least * MIB && bytes < most * MIB),
    );
  });

  test('is ended whole, also where only a child of it wanted too much', async () => {
    lrms.submit(task('parent', ['sh', '-c', `python3 -c '${greedy}'; sleep 60`]));
    expect(await endOf('parent')).toMatchObject({ kind: 'limit', limit: 'memory' });
  });

  test('is held to its memory while no gateway runs', async () => {
    const alone = task('alone', ['sh', '-c', `sleep 0.5; python3 -c '${greedy}'`]);
    lrms.submit(alone);
    await expect.poll(() => started).toEqual(['alone']);
    await lrms[Symbol.asyncDispose]();
    await expect.poll(() => existsSync(join(alone.directory, 'status'))).toBe(true);
    expect(readdirSync(join(alone.directory, 'work'))).toEqual([]);
    await open();
    expect(await lrms.adopt(alone)).toBe(true);
    expect(await endOf('alone')).toMatchObject({ kind: 'limit', limit: 'memory' });
  });

  test('CPU time is counted also of children that nobody waited for', async () => {
    const burn = 'i=0; while [ $i -lt 300000 ]; do i=$((i+1)); done';
    lrms.submit(
      task('burn', [
        'sh',
        '-c',
        `(setsid sh -c '${burn}; : >done' &); until [ -e done ]; do sleep 0.05; done`,
      ]),
    );
    const end = await endOf('burn');
    expect(end).toMatchObject({ kind: 'exited', exitCode: 0 });
    expect(end).toHaveProperty(
      'usage.cpuMs',
      expect.toSatisfy((ms: number) => ms > 50),
    );
  });

  test('a child in a session of its own, without the environment, ends with the task', async () => {
    const begins = '(env -i setsid sleep 300 & echo $! >pid) &';
    const until = `until [ "$(cat /proc/$(cat pid)/comm)" = sleep ]; do sleep 0.1; done 2>/dev/null`;
    lrms.submit(task('leaves', ['sh', '-c', `${begins}\n${until}`]));
    expect(await endOf('leaves')).toMatchObject({ kind: 'exited', leftBehind: ['sleep'] });
    expect(groups.members('leaves')).toEqual(new Set());
  });

  describe('what an earlier run left of a task', () => {
    const leave = async (): Promise<number> => {
      lrms.submit(task('lost', ['sleep', '300']));
      const sleepers = (): readonly number[] => [...groups.members('lost')].filter(isSleep);
      await expect.poll(sleepers).toHaveLength(1);
      const [pid = 0] = sleepers();
      await lrms[Symbol.asyncDispose]();
      return pid;
    };

    test('is ended and removed where nobody takes it up', async () => {
      const pid = await leave();
      await open();
      await lrms.clear?.();
      expect(groups.figures('lost')).toBeUndefined();
      await expect.poll(() => isAlive(pid)).toBe(false);
      await expect.poll(() => launchersOf(spool)).toEqual([]);
    });

    test('also by a run without control groups', async () => {
      const pid = await leave();
      await open(NO_GROUPS);
      await lrms.clear?.();
      await expect.poll(() => isAlive(pid)).toBe(false);
      await lrms[Symbol.asyncDispose]();
      await open();
      expect(groups.figures('lost')).toBeUndefined();
    });

    test('goes on where it is taken up, and where another gateway starts', async () => {
      const pid = await leave();
      const copy = `${spool}-copy`;
      cpSync(spool, copy, { recursive: true });
      const own = spool;
      spool = copy;
      await open();
      await lrms.clear?.();
      await lrms[Symbol.asyncDispose]();
      rmSync(copy, { recursive: true });
      spool = own;
      await open();
      const lost = task('lost', ['sleep', '300']);
      expect(await lrms.adopt(lost)).toBe(true);
      await lrms.clear?.();
      expect(groups.members('lost').has(pid)).toBe(true);
      lrms.cancel(lost.id, 0);
      await endOf('lost');
    });
  });
});

const isSleep = (pid: number): boolean => {
  try {
    return readFileSync(`/proc/${pid}/comm`, 'utf8') === 'sleep\n';
  } catch {
    return false;
  }
};
const isAlive = (pid: number): boolean => {
  try {
    return !readFileSync(`/proc/${pid}/stat`, 'utf8').includes(') Z ');
  } catch {
    return false;
  }
};
