import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { expect, test } from 'vitest';
import { isAlive } from '../../../cli/up/process.ts';
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
