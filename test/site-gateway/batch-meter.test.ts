import { execFileSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { BATCH_METER } from '../../site-gateway/lrms/batch/batch-meter.ts';
import { testDirs } from '../support/test-dirs.ts';

const dirs = testDirs('batch-meter');
const LIMIT = 2 ** 28;

/** What is made of a memory group of version 2 with these events, that was once as full as it may be. */
function verdictOf(events: string): string {
  const dir = dirs();
  writeFileSync(join(dir, 'memory.peak'), `${LIMIT}\n`);
  writeFileSync(join(dir, 'memory.max'), `${LIMIT}\n`);
  writeFileSync(join(dir, 'memory.events'), events);
  const script = `${BATCH_METER}
_grid_full= _grid_killed=
_grid_count '${dir}' memory.peak memory.max memory.events
echo "full=$_grid_full killed=$_grid_killed"`;
  return execFileSync('sh', ['-c', script], { encoding: 'utf8' }).trim();
}

test('the kernel has ended a process for the memory of its group', () => {
  const events = 'low 0\nhigh 0\nmax 7\noom 1\noom_kill 1\noom_group_kill 0\n';
  expect(verdictOf(events)).toBe('full=yes killed=yes');
});

test('one that went because the machine was full is not its doing, whatever files it had in memory', () => {
  const events = 'low 0\nhigh 0\nmax 731\noom 0\noom_kill 1\noom_group_kill 0\n';
  expect(verdictOf(events)).toBe('full= killed=yes');
});
