import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { eventually, type LocalGrid, startLocalGrid } from '../support/local-grid.ts';

let grid: LocalGrid;
beforeAll(async () => {
  grid = await startLocalGrid({ sites: 1 });
}, 120_000);
afterAll(() => grid[Symbol.asyncDispose]());

test('a file is read while it grows, and the outputs when the site is gone', async () => {
  const task = 'for i in 1 2 3 4; do echo epoch $i >> train.log; sleep 0.5; done; touch other';
  const submit = ['submit', '-o', 'train.log', '--', 'sh', '-c', task];
  const id = (await grid.grid(submit)).stdout.trim();
  const early = await eventually('the file has begun', 20_000, async () => {
    const { code, stdout } = await grid.grid(['logs', id, '--file', 'train.log']);
    return code === 0 ? stdout : undefined;
  });
  expect(early).toMatch(/^epoch 1\n/);
  const whole = 'epoch 1\nepoch 2\nepoch 3\nepoch 4\n';
  expect(await grid.grid(['logs', id, '--file', 'train.log', '-f'])).toMatchObject({
    code: 0,
    stdout: whole,
  });
  expect((await grid.grid(['wait', id, '--timeout', '60s'])).code).toBe(0);

  const [site] = grid.plan.sites;
  await grid.crash(`site-${site?.name}`);
  expect((await grid.grid(['logs', id, '--file', 'train.log'])).stdout).toBe(whole);
  const to = join(grid.layout.dir, 'got');
  expect((await grid.grid(['get', id, '--to', to])).code).toBe(0);
  expect(readFileSync(join(to, 'train.log'), 'utf8')).toBe(whole);
  const other = await grid.grid(['logs', id, '--file', 'other']);
  expect(other).toMatchObject({ code: 4, stdout: '' });
  expect(other.stderr).toContain("TASK_FILE_NOT_FOUND: the task has left no output 'other'");
}, 180_000);
