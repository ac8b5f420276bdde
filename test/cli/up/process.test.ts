import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { expect, test } from 'vitest';
import { endProcessesBelow, isAlive, namesBelow, processesBelow } from '../../../cli/up/process.ts';
import { testDirs } from '../../support/test-dirs.ts';

const newDir = testDirs('process');

test('a process runs until it has ended, not until somebody has asked how', async () => {
  // The shell's child ends once `exec` has put a program in its place that asks nothing, and stays a zombie.
  const child = '(until grep -q cat /proc/$$/comm; do sleep 0.01; done)';
  const shell = spawn('sh', ['-c', `${child} & echo $!; exec cat`], {
    stdio: ['pipe', 'pipe', 'ignore'],
  });
  const [line] = (await once(shell.stdout, 'data')) as [Buffer];
  const pid = Number(line.toString());
  await expect.poll(() => isAlive(pid)).toBe(false);
  expect(existsSync(`/proc/${pid}`)).toBe(true);
  expect(isAlive(shell.pid ?? 0)).toBe(true);
  shell.kill();
});

test('a process is of the grid whose directory it names, not of one whose name begins the same', async () => {
  const words = ['sh', '-c', 'read line', '--config', '/x/grid2/broker/broker.yaml'];
  const program = spawn(words[0] ?? '', words.slice(1), { stdio: ['pipe', 'ignore', 'ignore'] });
  // The kernel closes what is not for a program, which is all that a start waits for, before it has put the words in their place.
  await expect.poll(() => namesBelow(program.pid ?? 0, '/x/grid2')).toBe(true);
  const named = ['/x/grid2', '/x/grid', '/grid2'].filter((dir) =>
    namesBelow(program.pid ?? 0, dir),
  );
  program.kill();
  expect(named).toEqual(['/x/grid2']);
});

test('nothing runs below a directory any more when its processes have been ended', async () => {
  const dir = newDir();
  const breeder = 'while :; do sh -c "sleep 60; true" & sleep 0.01; done';
  for (let n = 0; n < 10; n += 1) spawn('sh', ['-c', breeder], { cwd: dir, stdio: 'ignore' });
  await expect.poll(() => processesBelow(dir).length).toBeGreaterThan(50);
  await endProcessesBelow(dir);
  expect(processesBelow(dir)).toEqual([]);
});
