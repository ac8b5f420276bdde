import { spawn } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { processesBelow } from '../../cli/up/process.ts';
import { GRID, runGrid } from '../support/local-grid.ts';

// The demo makes its grid below TMPDIR: a directory of our own shows what it leaves behind.
let dir = '';
beforeAll(() => {
  dir = mkdtempSync(join(tmpdir(), 'hanse-e2e-'));
});
afterAll(() => rmSync(dir, { recursive: true, force: true }));

const env = (): NodeJS.ProcessEnv => ({ ...process.env, TMPDIR: dir, NO_COLOR: '1' });
const gridsLeft = (): readonly string[] =>
  readdirSync(dir).filter((name) => name.startsWith('hanse-demo-'));

test('the demo shows a real result, says what happened where, and leaves nothing behind', async () => {
  const output = join(dir, 'result');
  const { code, stdout, stderr } = await runGrid(['demo', '--output', output], {
    cwd: dir,
    env: env(),
  });
  expect(stderr).not.toContain('✖');
  expect(code).toBe(0);
  expect(stdout.trimEnd().split('\n').at(-1)).toMatch(
    /^demo: ok, 25 tasks on 2 sites in \d+\.\d s$/,
  );
  expect(stdout).toMatch(/luebeck +\d+/);
  expect(stdout).toMatch(/hamburg +\d+/);
  const rows = readFileSync(join(output, 'gc.csv'), 'utf8').trim().split('\n');
  expect(rows).toHaveLength(195);
  // 48,502 bases with 24,182 G and C: the known composition of NC_001416.1.
  const mean = rows.slice(1).reduce((sum, row) => sum + Number(row.split(',')[1]), 0) / 194;
  expect(mean).toBeCloseTo(24_182 / 48_502, 2);
  expect(readFileSync(join(output, 'gc.svg'), 'utf8')).toMatch(/^<svg [\s\S]*<\/svg>\n$/);
  expect(gridsLeft()).toEqual([]);
  expect(processesBelow(dir)).toEqual([]);
});

test.each([
  'nats-server program',
  'certificate authority',
  'nats-server and authority',
  'broker',
  'submitted as',
])("Ctrl-C after '%s' leaves no process and no directory behind", async (step) => {
  const child = spawn(GRID, ['demo', '--output', join(dir, 'cut')], {
    cwd: dir,
    env: env(),
    // A process group of its own, which gets the signal as from a terminal.
    detached: true,
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  child.stdout.resume();
  const ended = new Promise<number | null>((resolve) => child.once('exit', resolve));
  let told = '';
  child.stderr.on('data', (part: Buffer) => {
    told += part.toString();
  });
  await expect.poll(() => told, { interval: 10 }).toContain(step);
  process.kill(-(child.pid ?? 0), 'SIGINT');
  expect(await ended).toBe(130);
  expect(processesBelow(dir)).toEqual([]);
  expect(gridsLeft()).toEqual([]);
});
