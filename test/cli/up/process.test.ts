import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { expect, test } from 'vitest';
import { isAlive, namesBelow } from '../../../cli/up/process.ts';
import { pause } from '../../../service/background.ts';

test('a process runs until it has ended, not until somebody has asked how', async () => {
  // The shell's child ends at once and stays a zombie, because `exec` puts a program in its place that asks nothing.
  const shell = spawn('sh', ['-c', 'true & echo $!; exec sleep 2'], {
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  const [line] = (await once(shell.stdout, 'data')) as [Buffer];
  await pause(100);
  expect(isAlive(shell.pid ?? 0)).toBe(true);
  expect(isAlive(Number(line.toString()))).toBe(false);
  shell.kill();
});

test('a process is of the grid whose directory it names, not of one whose name begins the same', async () => {
  const program = spawn('sh', ['-c', 'sleep 5; true', '--config', '/x/grid2/broker/broker.yaml']);
  await once(program, 'spawn');
  const named = ['/x/grid2', '/x/grid', '/grid2'].filter((dir) =>
    namesBelow(program.pid ?? 0, dir),
  );
  program.kill();
  expect(named).toEqual(['/x/grid2']);
});
