import { describe, expect, test } from 'vitest';
import { verdictOf } from '../../../site-gateway/attempts/outcome.ts';
import type { TaskEnd } from '../../../site-gateway/lrms/lrms.ts';

const usage = { cpuMs: 1, wallMs: 2, peakMemoryBytes: 3 };
const exited = (exitCode: number, leftBehind: readonly string[] = []): TaskEnd => ({
  kind: 'exited',
  exitCode,
  usage,
  leftBehind,
});
const command = { program: 'sh', path: '/nowhere:/usr/bin:/bin', cwd: '/' };

test.for<[string, TaskEnd, object]>([
  ['an exit code of 0 is done', exited(0), { reason: '', signal: 0 }],
  ['another is the fault of the job', exited(2), { failure: 'job', reason: 'EXIT_NONZERO' }],
  ['137 is SIGKILL', exited(137), { reason: 'KILLED_BY_SIGNAL', signal: 9, exitCode: 137 }],
  ['255 is no signal', exited(255), { reason: 'EXIT_NONZERO', signal: 0 }],
  ['127 of a program that is there is its own', exited(127), { reason: 'EXIT_NONZERO' }],
  [
    'a vanished task is the fault of the site',
    { kind: 'vanished', reason: 'TASK_VANISHED', detail: 'gone', usage },
    { failure: 'site', reason: 'TASK_VANISHED', detail: 'gone' },
  ],
  [
    'walltime is a limit',
    {
      kind: 'limit',
      limit: 'walltime',
      measured: 1,
      allowed: 90_000,
      exitCode: 143,
      usage,
      leftBehind: [],
    },
    {
      failure: 'limit',
      reason: 'WALLTIME_EXCEEDED',
      detail: 'it ran for its walltime of 1m 30s and was ended',
    },
  ],
  [
    'memory is a limit, with both values',
    {
      kind: 'limit',
      limit: 'memory',
      measured: 2 ** 30,
      allowed: 2 ** 20,
      exitCode: 137,
      usage,
      leftBehind: [],
    },
    { reason: 'MEMORY_EXCEEDED', detail: 'it used 1 GiB of memory, 1 MiB were asked for' },
  ],
  [
    'disk is a limit, with both values',
    {
      kind: 'limit',
      limit: 'disk',
      measured: 2 ** 30,
      allowed: 2 ** 20,
      exitCode: 137,
      usage,
      leftBehind: [],
    },
    {
      failure: 'limit',
      reason: 'DISK_EXCEEDED',
      detail: 'its directory held 1 GiB, 1 MiB were asked for',
    },
  ],
])('%s', ([, end, expected]) => expect(verdictOf(end, command)).toMatchObject(expected));

test.for([
  ['no-such-thing', 'COMMAND_NOT_FOUND'],
  ['./no-such-thing', 'COMMAND_NOT_FOUND'],
  ['etc/passwd', 'COMMAND_NOT_EXECUTABLE'],
  ['/etc/passwd', 'COMMAND_NOT_EXECUTABLE'],
  ['/etc', 'COMMAND_NOT_FOUND'],
])('127 of %s is %s', ([program = '', reason]) =>
  expect(verdictOf(exited(127), { ...command, program }).reason).toBe(reason),
);

describe('processes that were left behind', () => {
  test('are counted and named, each name once', () => {
    expect(verdictOf(exited(0, ['sleep']), command).detail).toBe(
      '1 process left behind was ended: sleep',
    );
    expect(verdictOf(exited(0, ['sleep', 'python3', 'sleep']), command).detail).toBe(
      '3 processes left behind were ended: sleep, python3',
    );
  });

  test('do not hide why the task failed', () => {
    expect(verdictOf(exited(3, ['sleep']), command).detail).toBe(
      'the program ended with exit code 3; 1 process left behind was ended: sleep',
    );
  });
});
