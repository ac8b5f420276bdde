import { existsSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { attemptId } from '../../core/ids.ts';
import { systemClock } from '../../service/clock.ts';
import { openLog } from '../../service/log.ts';
import { openForkLrms } from '../../site-gateway/lrms/fork/fork.ts';
import type { Lrms, LrmsTask, TaskEnd } from '../../site-gateway/lrms/lrms.ts';
import { BARE_SANDBOX } from '../../site-gateway/lrms/sandbox/sandbox.ts';
import { launchersOf } from '../support/launchers.ts';

const log = openLog('test', 'silent');
let spool: string;
let lrms: Lrms;
let ends: Map<string, TaskEnd>;

const open = async (): Promise<void> => {
  lrms = await openForkLrms({
    spool,
    cpus: 2,
    memoryBytes: 2 ** 30,
    cores: [],
    firstCore: 0,
    sandbox: BARE_SANDBOX,
    clock: systemClock,
    log,
    listener: {
      started: () => undefined,
      ended: (id, end) => ends.set(id, end),
      changed: () => undefined,
    },
  });
};
beforeEach(async () => {
  spool = mkdtempSync(join(tmpdir(), 'hanse-launches-'));
  ends = new Map();
  await open();
});
afterEach(async () => {
  await lrms[Symbol.asyncDispose]();
  rmSync(spool, { recursive: true });
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
    memoryBytes: 2 ** 20,
    walltimeMs: 0,
    sandbox: 'account',
    network: 'any',
  };
};
const endOf = async (id: string): Promise<TaskEnd | undefined> => {
  await expect.poll(() => ends.has(id)).toBe(true);
  return ends.get(id);
};
test('a task that was ordered and has not begun ends at once when it is told to, and never begins', async () => {
  lrms.submit(task('first', 'true'));
  expect(await endOf('first')).toMatchObject({ kind: 'exited', exitCode: 0 });
  const [shell = 0] = launchersOf(spool);
  // Too busy to read its order, for now.
  process.kill(shell, 'SIGSTOP');
  const late = task('late', ': >ran');
  lrms.submit(late);
  const before = performance.now();
  lrms.cancel(late.id, 3_000);
  expect(await endOf('late')).toMatchObject({ kind: 'not-started', reason: 'CANCELLED' });
  // It is looked for again only after ten.
  expect(performance.now() - before).toBeLessThan(9_000);
  process.kill(shell, 'SIGCONT');
  await expect.poll(() => launchersOf(spool)).toEqual([]);
  expect(existsSync(join(late.directory, 'work', 'ran'))).toBe(false);
  expect(await lrms.adopt(late)).toBe(false);
});

describe('a shell that an earlier run left', () => {
  const begun = async (id: string): Promise<LrmsTask> => {
    const runs = task(id, ': >ran; exec sleep 300');
    lrms.submit(runs);
    const ran = join(runs.directory, 'work', 'ran');
    await expect.poll(() => existsSync(ran)).toBe(true);
    return runs;
  };

  test('ends with its task where nobody takes that up, and no other does', async () => {
    const known = await begun('known');
    await begun('unknown');
    expect(launchersOf(spool)).toHaveLength(2);
    await lrms[Symbol.asyncDispose]();
    await open();
    expect(await lrms.adopt(known)).toBe(true);
    await lrms.clear?.();
    await expect.poll(() => launchersOf(spool)).toHaveLength(1);
    lrms.cancel(known.id, 0);
    expect(await endOf('known')).toMatchObject({ kind: 'exited', exitCode: 137 });
    expect(ends.has('unknown')).toBe(false);
  });

  test('outlives the minutes that it takes until all tasks are taken up', async () => {
    const slow = await begun('slow');
    await lrms[Symbol.asyncDispose]();
    vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval'] });
    try {
      await open();
      await vi.advanceTimersByTimeAsync(180_000);
      // What would end it looks every fifty milliseconds.
      await new Promise((resolve) => setTimeout(resolve, 500));
      await lrms[Symbol.asyncDispose]();
    } finally {
      vi.useRealTimers();
    }
    expect(launchersOf(spool)).toHaveLength(1);
    await open();
    expect(await lrms.adopt(slow)).toBe(true);
    await lrms.clear?.();
    lrms.cancel(slow.id, 0);
    expect(await endOf('slow')).toMatchObject({ kind: 'exited', exitCode: 137 });
  });

  test('ends where it stands still and has nothing to do', async () => {
    lrms.submit(task('first', 'true'));
    await endOf('first');
    const [shell = 0] = launchersOf(spool);
    process.kill(shell, 'SIGSTOP');
    await lrms[Symbol.asyncDispose]();
    await open();
    await expect.poll(() => launchersOf(spool)).toEqual([]);
  });
});
