import { createHash } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { eventually, type LocalGrid, startLocalGrid } from '../support/local-grid.ts';

let grid: LocalGrid;
beforeAll(async () => {
  grid = await startLocalGrid({ sites: 2, siteSettings: [{}, { 'live-every': '1s' }] });
});
afterAll(() => grid[Symbol.asyncDispose]());

test('a file is read while it grows, and the outputs when the site is gone', async () => {
  const task = 'for i in 1 2 3 4; do echo epoch $i >> train.log; sleep 0.5; done; touch other';
  const [site] = grid.plan.sites;
  const submit = ['submit', '-s', site?.name ?? '', '-o', 'train.log', '--', 'sh', '-c', task];
  const id = (await grid.grid(submit)).stdout.trim();
  const early = await eventually('the file has begun', 60_000, async () => {
    const { code, stdout } = await grid.grid(['logs', id, '--file', 'train.log']);
    return code === 0 ? stdout : undefined;
  });
  expect(early).toMatch(/^epoch 1\n/);
  const whole = 'epoch 1\nepoch 2\nepoch 3\nepoch 4\n';
  expect(await grid.grid(['logs', id, '--file', 'train.log', '-f'])).toMatchObject({
    code: 0,
    stdout: whole,
  });
  expect((await grid.grid(['wait', id, '--timeout', '200s'])).code).toBe(0);

  await grid.crash(`site-${site?.name}`);
  expect((await grid.grid(['logs', id, '--file', 'train.log'])).stdout).toBe(whole);
  const to = join(grid.layout.dir, 'got');
  expect((await grid.grid(['get', id, '--to', to])).code).toBe(0);
  expect(readFileSync(join(to, 'train.log'), 'utf8')).toBe(whole);
  const other = await grid.grid(['logs', id, '--file', 'other']);
  expect(other).toMatchObject({ code: 4, stdout: '' });
  expect(other.stderr).toContain("TASK_FILE_NOT_FOUND: the task has left no output 'other'");
});

test('live outputs are had while the task runs, and when its site has died in the middle', async () => {
  const [, site] = grid.plan.sites;
  const task = `
    mkdir log; echo started; head -c 3000000 /dev/urandom > log/big.csv; sha256sum < log/big.csv > log/sum
    for i in $(seq 600); do echo "$i" >> log/a.csv; sleep 0.2; done; echo result > other`;
  const submit = ['submit', '-n', 'live', '-s', site?.name ?? '', '--live-output', 'log/*'];
  const job = ['-o', 'other', '--', 'sh', '-c', task];
  const id = (await grid.grid([...submit, ...job])).stdout.trim();
  const dir = join(grid.layout.dir, `live-${id}-partial`);
  const rows = (): number => readFileSync(join(dir, 'log/a.csv'), 'utf8').split('\n').length;
  const get = async (least: number, ...args: readonly string[]) =>
    eventually(`${least} rows`, 60_000, async () => {
      const got = await grid.grid(['get', id, ...args, '--json']);
      return got.code === 0 && existsSync(join(dir, 'log/a.csv')) && rows() >= least
        ? (JSON.parse(got.stdout) as Readonly<Record<string, unknown>>)
        : undefined;
    });
  // Without results a plain `get` is the same.
  expect(await get(1)).toMatchObject({
    dir,
    partial: [{ task: 0, site: site?.name, trouble: '' }],
  });
  const sum = createHash('sha256')
    .update(readFileSync(join(dir, 'log/big.csv')))
    .digest('hex');
  expect(readFileSync(join(dir, 'log/sum'), 'utf8')).toContain(sum);
  expect(readFileSync(join(dir, 'stdout'), 'utf8')).toBe('started\n');
  expect(existsSync(join(dir, 'other'))).toBe(false);

  const before = rows();
  await get(before + 10, '--live');
  await grid.crash(`site-${site?.name}`);
  const got = await grid.grid(['get', id, '--live']);
  expect(got.stderr).toContain(`partial: what there was at ${site?.name}`);
  expect(rows()).toBeGreaterThanOrEqual(before + 10);
  const logs = async (...args: readonly string[]) =>
    eventually('the live streams', 60_000, async () => {
      const ran = await grid.grid(['logs', id, ...args]);
      return ran.code === 0 && ran.stderr.includes(`partial: what ${site?.name} had sent`)
        ? ran.stdout
        : undefined;
    });
  expect(await logs()).toBe('started\n');
  expect(await logs('--file', 'log/a.csv')).toMatch(/^1\n2\n3\n/);
  const status = await grid.grid(['status', id, '--json']);
  expect(JSON.parse(status.stdout)).toMatchObject({
    spec: { outputs: ['other', { path: 'log/*', live: true }] },
    taskList: [{ live: { attemptId: `${id}.0.1`, files: 5, trouble: '' } }],
  });
  expect((await grid.grid(['status', id])).stdout).toMatch(
    /so far +5 files, .* ago: grid get --live/,
  );
});
