/** An office PC of a grid: its owner comes back while a task runs there. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type LocalGrid, startLocalGrid } from '../support/local-grid.ts';

const SOON = { timeout: 60_000, interval: 300 };
let grid: LocalGrid;
let root: string;

beforeAll(async () => {
  // What the gateway takes for the machine: nothing but a battery.
  root = mkdtempSync(join(tmpdir(), 'hanse-pc-'));
  const battery = join(root, 'sys/class/power_supply/BAT0');
  mkdirSync(battery, { recursive: true });
  writeFileSync(join(battery, 'type'), 'Battery\n');
  setBattery('Full');
  const owner = { root, 'idle-after': '1s', 'resume-after': '1s', 'suspend-for': '30s' };
  grid = await startLocalGrid({ sites: 2, siteSettings: [{ owner }, {}] });
});
afterAll(async () => {
  await grid[Symbol.asyncDispose]();
  rmSync(root, { recursive: true, force: true });
});

const setBattery = (status: string): void =>
  writeFileSync(join(root, 'sys/class/power_supply/BAT0/status'), `${status}\n`);

const said = async (...args: readonly string[]): Promise<string> => {
  const { stdout, stderr } = await grid.grid(args);
  return stdout + stderr;
};

test('a task stands still when the owner is back, then runs elsewhere, and its result comes once', async () => {
  const [pc = '', other = ''] = grid.plan.sites.map(({ name }) => name);
  await grid.grid(['site', 'drain', other]);
  const script = 'echo $GRID_SITE; [ "$GRID_SITE" = "$0" ] || sleep 300';
  const submit = ['submit', '--retries', '0', '--', 'sh', '-c', script, other];
  const id = (await grid.grid(submit)).stdout.trim();
  await expect.poll(() => said('status', id), SOON).toContain('running');
  await grid.grid(['site', 'resume', other]);

  setBattery('Discharging');
  const shown = /suspended[\s\S]*it runs on battery since \d\d:\d\d/;
  await expect.poll(() => said('status', id), SOON).toMatch(shown);
  expect(await said('sites')).toMatch(new RegExp(`${pc}: it runs on battery since`));

  const { code, stdout } = await grid.grid(['wait', '--timeout', '200s', id]);
  expect({ code, stdout }).toMatchObject({ code: 0 });
  expect(await said('logs', id)).toBe(`${other}\n`);
  expect(await said('job', 'events', id)).toContain('OWNER_RETURNED');
});
