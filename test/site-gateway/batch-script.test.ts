import { spawn, spawnSync } from 'node:child_process';
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { batchScript } from '../../site-gateway/lrms/batch/batch-script.ts';
import { testDirs } from '../support/test-dirs.ts';

const freshDir = testDirs('batch-script');

/** The script looks every five seconds whether its attempt is wanted, here so often. */
const lookingEvery = (seconds: number): string =>
  batchScript({ leavesMemory: false }).replace('=$(($1 + 5))', `=$(($1 + ${seconds}))`);

interface Around {
  /** Sets variables of the order. */
  readonly more?: string;
  readonly env?: Readonly<Record<string, string>>;
  /** Words that go before the script. */
  readonly before?: readonly string[];
  /** Text of the script. */
  readonly text?: string;
}

/** Runs a task by the batch script; gives how that ended, and the directories. */
function runTask(
  task: string,
  { more = '', env = {}, before = [], text = lookingEvery(1) }: Around = {},
) {
  const dir = freshDir();
  const attempt = join(dir, 'attempts', 'one');
  const marks = join(dir, 'submissions', 'token');
  for (const folder of [join(attempt, 'work'), join(attempt, 'tmp'), marks])
    mkdirSync(folder, { recursive: true });
  symlinkSync(attempt, join(marks, '1'));
  writeFileSync(
    join(attempt, 'order'),
    `_grid_in=/dev/null _grid_gang=1 _grid_cores=1 ${more}\nset -- /bin/sh -c '${task}'\n`,
  );
  const script = join(dir, 'script');
  writeFileSync(script, text, { mode: 0o755 });
  const [program, ...args] = [...before, script, marks, '1'];
  const { status } = spawnSync(program, args, {
    encoding: 'utf8',
    // What none of these tests waits for on its own lasts a minute.
    timeout: 45_000,
    env: { ...process.env, ...env },
  });
  return { status, attempt, marks };
}

test('a task that was killed leaves no words of the shell in the log', () => {
  // All that is below the script is killed at once, its meter before the task.
  const task = 'kill -KILL $(cat /proc/$PPID/task/$PPID/children)';
  const { status, attempt, marks } = runTask(task);
  expect(status).toBe(137);
  expect(readFileSync(join(attempt, 'status'), 'utf8')).toMatch(/^137 /);
  expect(readFileSync(join(marks, '1.log'), 'utf8')).toBe('');
});

test('a task that is killed with its job, a moment before its shell, leaves no end of its own', () => {
  const task = 'setsid sh -c "sleep 0.3; kill -KILL $PPID" & kill -KILL $$';
  const { status, attempt } = runTask(task);
  expect(status).toBe(null);
  expect(existsSync(join(attempt, 'status'))).toBe(false);
});

test('a task in a container can have no container of another looked at, or ended', () => {
  // What a container is to the meter: a process in a pid namespace of its own.
  const other = spawn('unshare', ['--pid', '--fork', '--kill-child', 'sleep', '60']);
  const children = `/proc/${other.pid}/task/${other.pid}/children`;
  const task = `for try in 1 2 3 4 5 6 7 8 9; do read -r pid rest <${children}; [ -z "$pid" ] || break; sleep 0.2; done
    echo "$pid" >../tmp/grid-pid; sleep 3; [ -e "/proc/$pid" ]`;
  const { status, attempt } = runTask(task, { more: '_grid_boxed=yes _grid_most=1' });
  other.kill();
  expect(readFileSync(join(attempt, 'usage'), 'utf8')).not.toContain('limit');
  expect(status).toBe(0);
});

test('a task whose end the gateway has told is killed with all that it has started', async () => {
  const { status, attempt } = runTask('sleep 61 & echo $! >../pids; : >../end; sleep 60');
  expect(status).toBe(137);
  const pid = readFileSync(join(attempt, 'pids'), 'utf8').trim();
  await expect.poll(() => commandOf(pid)).toBe('');
});

test('a task of many processes that may be killed is killed within seconds, all of it', async () => {
  const many = 'i=0; while [ $((i += 1)) -le 210 ]; do sleep 62 & done';
  const task = `trap "" TERM; ${many}; echo $! >../pids; sleep 2.5; : >../../../submissions/token/1.kill; sleep 60`;
  const { status, attempt } = runTask(task);
  expect(status).toBe(137);
  const pid = readFileSync(join(attempt, 'pids'), 'utf8').trim();
  await expect.poll(() => commandOf(pid)).toBe('');
});

test('a task is not ended by the word that its job is to be suspended', () => {
  const { status } = runTask('kill -USR1 0; exit 7', {
    env: { GRID_NOTIFY: 'yes' },
    before: ['setsid', '-w'],
  });
  expect(status).toBe(7);
});

test('a task that may be killed hears TERM first, though nobody has sent it', () => {
  const { status, attempt } = runTask(
    'trap "echo heard >../heard" TERM; : >../../../submissions/token/1.kill; while :; do sleep 0.1; done',
  );
  expect(status).toBe(137);
  expect(readFileSync(join(attempt, 'heard'), 'utf8')).toBe('heard\n');
});

test.for([
  ['from its batch system', 'kill -TERM 0', {}],
  ['from a system that announces it', 'kill -USR2 0', { GRID_NOTIFY: 'yes' }],
  ['by way of its script', 'kill -TERM $(cut -d" " -f4 /proc/$PPID/stat)', { GRID_FORWARD: 'yes' }],
] as const)(
  'a task that hears TERM %s only when it may be killed has time to end',
  ([, hears, env]) => {
    // Five seconds where the script gives it one: this machine may be busy.
    const text = lookingEvery(1)
      .replaceAll(/_grid_pause=1\b/g, '_grid_pause=5')
      .replace('sleep 1\n    until', 'sleep 5\n    until')
      .replace('-gt 5 ]', '-gt 25 ]');
    const { status } = runTask(
      `trap "sleep 0.5; exit 3" TERM; : >../../../submissions/token/1.kill; ${hears}; while :; do sleep 0.1; done`,
      { env, before: ['setsid', '--wait'], text },
    );
    expect(status).toBe(3);
  },
);

test('a task whose attempt has gone, with its marks, is killed, and nothing of the script stays', async () => {
  const task = 'rm -rf ../../one ../../../submissions; sleep 60';
  const { status, marks } = runTask(task, { env: { GRID_NOTIFY: 'yes' } });
  expect(status).toBe(137);
  const lines = (): readonly string[] => readdirSync('/proc').map((pid) => commandOf(pid));
  // What the script has killed last may still be about to go.
  await expect.poll(() => lines().filter((line) => line.includes(marks))).toEqual([]);
});

test.for([
  // A third look comes into that time only where this machine stands still for seconds.
  ['for less than three looks', 3, 'mv ../../one ../../two; sleep 3.5; mv ../../two ../../one'],
  [
    'with all others',
    1,
    'mv ../../../attempts ../../../away; sleep 4; mv ../../../away ../../../attempts',
  ],
  [
    'as somebody has put a link there',
    1,
    'mv ../../one ../../two; ln -s no ../../one; sleep 4; rm ../../one; mv ../../two ../../one',
  ],
] as const)('a task whose attempt is not seen %s runs on', ([, seconds, meanwhile]) => {
  const { status } = runTask(`${meanwhile}; sleep 1.5; exit 7`, { text: lookingEvery(seconds) });
  expect(status).toBe(7);
});

describe('what a task that was killed has left in the session of its job', () => {
  /** In a process group of its own, as mpirun starts what it is to run. */
  const leave = (script: string): string =>
    `perl -e "setpgrp; exec qw(sh -c), q(: >../up; ${script})" & echo $! >../pid
    until [ -e ../up ]; do sleep 0.1; done; kill -TERM $$`;
  const inSession = { before: ['setsid', '--wait'] };

  test('is waited for', () => {
    const { status, attempt } = runTask(leave('sleep 1; echo >../late'), inSession);
    expect(status).toBe(143);
    expect(existsSync(join(attempt, 'late'))).toBe(true);
  });

  test('is ended with it, where it does not come to an end', async () => {
    const { status, attempt } = runTask(leave('sleep 60; echo'), inSession);
    expect(status).toBe(143);
    const pid = readFileSync(join(attempt, 'pid'), 'utf8').trim();
    await expect.poll(() => commandOf(pid)).toBe('');
  });

  test('is ended at once where the time of grace is over', async () => {
    const grace = 'sleep 0.7; : >../../../submissions/token/1.kill; sleep 60';
    // Without that it would wait for forty seconds.
    const text = lookingEvery(1).replace('-lt 25 ]', '-lt 200 ]');
    const sinceMs = performance.now();
    const { attempt } = runTask(leave(grace), { ...inSession, text });
    expect(performance.now() - sinceMs).toBeLessThan(30_000);
    const pid = readFileSync(join(attempt, 'pid'), 'utf8').trim();
    await expect.poll(() => commandOf(pid)).toBe('');
  });

  test('is left alone where others have that session, too', () => {
    const { status, attempt } = runTask(leave('sleep 60; echo'));
    const pid = Number(readFileSync(join(attempt, 'pid'), 'utf8'));
    expect(status).toBe(143);
    expect(() => process.kill(-pid, 'SIGKILL')).not.toThrow();
  });
});

function commandOf(pid: string): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8');
  } catch {
    return '';
  }
}
