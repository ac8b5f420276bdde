import { spawnSync } from 'node:child_process';
import { mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { batchScript } from '../../site-gateway/lrms/batch/batch-script.ts';
import { testDirs } from '../support/test-dirs.ts';

const freshDir = testDirs('batch-script');

test('a task that was killed leaves no words of the shell in the log', () => {
  const dir = freshDir();
  const attempt = join(dir, 'attempts', 'one');
  const marks = join(dir, 'submissions', 'token');
  for (const folder of [join(attempt, 'work'), join(attempt, 'tmp'), marks])
    mkdirSync(folder, { recursive: true });
  symlinkSync(attempt, join(marks, '1'));
  // All that is below the script is killed at once, its meter before the task.
  const task = 'kill -KILL $(cat /proc/$PPID/task/$PPID/children)';
  writeFileSync(
    join(attempt, 'order'),
    `_grid_in=/dev/null _grid_gang=1 _grid_cores=1\nset -- /bin/sh -c '${task}'\n`,
  );
  const script = join(dir, 'script');
  writeFileSync(script, batchScript({ leavesMemory: false }), { mode: 0o755 });
  const { status } = spawnSync(script, [marks, '1'], { encoding: 'utf8', timeout: 8_000 });
  expect(status).toBe(137);
  expect(readFileSync(join(attempt, 'status'), 'utf8')).toMatch(/^137 /);
  expect(readFileSync(join(marks, '1.log'), 'utf8')).toBe('');
});
