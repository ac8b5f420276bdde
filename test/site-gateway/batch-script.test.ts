import { spawn, spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { batchScript } from '../../site-gateway/lrms/batch/batch-script.ts';
import { testDirs } from '../support/test-dirs.ts';

const freshDir = testDirs('batch-script');

/** Runs a task by the batch script; gives how that ended, and the directories. `more` sets variables of its order. */
function runTask(task: string, more = '') {
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
  writeFileSync(script, batchScript({ leavesMemory: false }), { mode: 0o755 });
  const { status } = spawnSync(script, [marks, '1'], { encoding: 'utf8', timeout: 8_000 });
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
  const { status, attempt } = runTask(task, '_grid_boxed=yes _grid_most=1');
  other.kill();
  expect(readFileSync(join(attempt, 'usage'), 'utf8')).not.toContain('limit');
  expect(status).toBe(0);
});
