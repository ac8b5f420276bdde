import { type StdioOptions, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { endProcessesBelow, namesBelow, processesBelow } from '../../cli/up/process.ts';
import { GRID, runGrid } from '../support/local-grid.ts';

let home = '';
beforeAll(() => {
  home = mkdtempSync(join(tmpdir(), 'hanse-e2e-'));
});
afterAll(async () => {
  await endProcessesBelow(home);
  rmSync(home, { recursive: true, force: true });
});

const env = (): NodeJS.ProcessEnv => ({
  ...process.env,
  HANSE_HOME: join(home, 'g', 'user'),
  NO_COLOR: '1',
});
const grid = (...args: readonly string[]) => runGrid(args, { cwd: home, env: env() });

/** `grid up` as it is without a flag: it stays until Ctrl-C. */
async function upInFront() {
  const stdio: StdioOptions = ['ignore', 'ignore', 'pipe'];
  const child = spawn(GRID, ['up', '--dir', 'g'], { cwd: home, env: env(), stdio });
  const ended = once(child, 'exit');
  let said = '';
  child.stderr?.setEncoding('utf8').on('data', (text: string) => {
    said += text;
  });
  await expect.poll(() => said).toContain('the grid runs until Ctrl-C');
  return { child, ended };
}

test('a grid survives down and up with its jobs and results', async () => {
  const up = await grid('up', '--dir', 'g', '--sites', '3', '--detach');
  expect(up.code).toBe(0);
  expect(up.stdout).toMatch(`export HANSE_HOME='${join(home, 'g', 'user')}'\nexport PATH=`);
  expect((await grid('sites', '--json')).stdout).toContain('visby');
  const first = await grid(
    'submit',
    '--name',
    'first',
    '--',
    'sh',
    '-c',
    'echo one; sleep 2; echo two',
  );
  const id = first.stdout.trim();
  expect(id).toMatch(/^j[0-9a-z]+$/);
  const waiting = await grid('submit', '--name', 'later', '--after', id, '--', 'echo', 'three');

  const [broker] = processesBelow(home).filter((pid) => namesBelow(pid, join(home, 'g/broker')));
  process.kill(broker ?? 0, 'SIGKILL');
  const mended = await grid('up', '--dir', 'g', '--detach');
  expect(mended).toMatchObject({
    code: 0,
    stderr: expect.stringMatching(/broker of the grid in .* had ended/),
  });
  expect((await grid('ls')).code).toBe(0);

  // It comes up whatever its own sites do, and whoever else is enrolled.
  expect((await grid('site', 'drain', 'visby')).code).toBe(0);
  expect((await grid('site', 'invite', 'away', '--host', 'localhost', '--port', '9')).code).toBe(0);
  expect((await grid('down', '--dir', 'g')).code).toBe(0);
  expect((await grid('ls')).code).toBe(5);
  const again = await upInFront();

  expect((await grid('wait', waiting.stdout.trim(), '--timeout', '200s')).code).toBe(0);
  expect(await grid('logs', id)).toMatchObject({ code: 0, stdout: 'one\ntwo\n' });
  expect((await grid('ls')).stdout).toMatch(/first[\s\S]*|later/);
  again.child.kill('SIGINT');
  expect(await again.ended).toEqual([0, null]);
  expect(processesBelow(home)).toEqual([]);
});

test('a directory with other files is not made a grid', async () => {
  writeFileSync(join(home, 'thesis.tex'), '');
  const refused = await grid('up', '--dir', '.', '--detach');
  expect(refused.code).toBe(4);
  expect(refused.stderr).toContain('holds other files');
});
