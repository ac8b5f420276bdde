import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { attemptId } from '../../core/ids.ts';
import { systemClock } from '../../service/clock.ts';
import { openLog } from '../../service/log.ts';
import { openForkLrms } from '../../site-gateway/lrms/fork/fork.ts';
import type { Lrms, LrmsTask, TaskEnd } from '../../site-gateway/lrms/lrms.ts';
import { BARE_SANDBOX } from '../../site-gateway/lrms/sandbox/sandbox.ts';
import { killIfThere } from '../support/daemons.ts';

/** No sign of its task on it, and its parents are gone; goes on once both are there. */
const HIDES = `(env -i /usr/bin/setsid /bin/sh -c "/bin/sleep 300 & echo \\$! >pid; wait" &)
  until [ "$(cat /proc/$(cat pid)/comm)" = sleep ]; do sleep 0.1; done 2>/dev/null`;

describe('what a task without control groups leaves behind', () => {
  let spool: string;
  let lrms: Lrms;
  let ends: Map<string, TaskEnd>;
  beforeEach(async () => {
    spool = mkdtempSync(join(tmpdir(), 'hanse-left-'));
    ends = new Map();
    lrms = await open();
  });
  afterEach(async () => {
    await lrms[Symbol.asyncDispose]();
    for (const pid of inSpool()) killIfThere(pid);
    rmSync(spool, { recursive: true });
  });
  const open = (): Promise<Lrms> =>
    openForkLrms({
      sandbox: BARE_SANDBOX,
      spool,
      cpus: 2,
      memoryBytes: 2 ** 30,
      cores: [],
      firstCore: 0,
      clock: systemClock,
      log: openLog('test', 'silent'),
      listener: {
        started: () => undefined,
        ended: (id, end) => ends.set(id, end),
        changed: () => undefined,
      },
    });
  const task = (id: string, script: string): LrmsTask => {
    const directory = join(spool, 'attempts', id);
    for (const own of ['work', 'tmp']) mkdirSync(join(directory, own), { recursive: true });
    return {
      id: attemptId(id),
      directory,
      command: ['sh', '-c', script],
      env: { PATH: '/usr/bin:/bin' },
      stdin: '/dev/null',
      nodes: 1,
      gpus: 0,
      cpus: 1,
      memoryBytes: 96 * 2 ** 20,
      walltimeMs: 60_000,
      sandbox: 'account',
      network: 'any',
    };
  };
  /** Pids of what works in the spool; where it works is all that it cannot hide. */
  const inSpool = (): readonly number[] =>
    readdirSync('/proc')
      .filter((name) => /^\d+$/.test(name) && folderOf(name).startsWith(spool))
      .map(Number);
  const endOf = async (id: string): Promise<TaskEnd | undefined> => {
    await expect.poll(() => ends.has(id)).toBe(true);
    return ends.get(id);
  };

  test('is ended where it has left its session, its parents and its environment at once', async () => {
    lrms.submit(task('hides', `${HIDES}; exit 0`));
    expect(await endOf('hides')).toMatchObject({
      kind: 'exited',
      exitCode: 0,
      leftBehind: expect.arrayContaining(['sh', 'sleep']) as string[],
    });
    expect(inSpool()).toEqual([]);
  });

  test('is ended so in the later use of a shell, too', async () => {
    lrms.submit(task('first', 'exit 0'));
    await endOf('first');
    lrms.submit(task('hides', `${HIDES}; exit 0`));
    expect(await endOf('hides')).toHaveProperty('leftBehind.length', 2);
    expect(inSpool()).toEqual([]);
  });

  test('ends with a task that is cancelled', async () => {
    lrms.submit(task('hides', `${HIDES}; : >up; sleep 300`));
    const up = join(spool, 'attempts/hides/work/up');
    await expect.poll(() => existsSync(up)).toBe(true);
    expect(inSpool().length).toBeGreaterThan(3);
    lrms.cancel(attemptId('hides'), 0);
    await endOf('hides');
    expect(inSpool()).toEqual([]);
  });

  test('ends with it also where no gateway runs', async () => {
    const alone = task('alone', `${HIDES}; until [ -e go ]; do sleep 0.05; done`);
    lrms.submit(alone);
    await expect.poll(() => existsSync(join(alone.directory, 'started'))).toBe(true);
    await lrms[Symbol.asyncDispose]();
    writeFileSync(join(alone.directory, 'work', 'go'), '');
    const status = join(alone.directory, 'status');
    await expect.poll(() => existsSync(status) && readFileSync(status, 'utf8')).toMatch(/^end/m);
    await expect.poll(inSpool).toEqual([]);
    lrms = await open();
    expect(await lrms.adopt(alone)).toBe(true);
    expect(await endOf('alone')).toMatchObject({ kind: 'exited', exitCode: 0 });
  });
});

function folderOf(pid: string): string {
  try {
    return readlinkSync(`/proc/${pid}/cwd`);
  } catch {
    return '';
  }
}
