import { randomBytes } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { sha256 } from '../../service/staging/chunk-store.ts';
import { type LocalGrid, startLocalGrid } from '../support/local-grid.ts';

let grid: LocalGrid;
beforeAll(async () => {
  grid = await startLocalGrid({ sites: 1, natsServers: 3 });
});
afterAll(() => grid[Symbol.asyncDispose]());

/** Established connections to a local port. */
function connectionsTo(port: number): number {
  const hex = port.toString(16).toUpperCase().padStart(4, '0');
  const lines = readFileSync('/proc/net/tcp', 'utf8').split('\n');
  return lines.filter((line) => new RegExp(`^ *\\d+: \\w+:\\w+ \\w+:${hex} 01 `).test(line)).length;
}

test('a nats-server and the leaf node end while jobs with files run, and nothing is lost', async () => {
  const content = randomBytes(20 * 2 ** 20);
  const { dir } = grid.layout;
  writeFileSync(join(dir, 'large.bin'), content);
  const task = 'sleep 1; cat large.bin > copy.bin; sha256sum < copy.bin';
  const submit = ['submit', '-i', 'large.bin', '-o', 'copy.bin', '--', 'sh', '-c', task];
  const sent = await grid.grid(submit);
  const id = sent.stdout.trim();
  // The site's gateway goes by way of its leaf node, but for a minute after that has lost its server for some seconds.
  const leafPort = grid.plan.leafPort ?? 0;
  const again = ['run', '-i', 'large.bin', '--', 'true'];
  const atLeaf = async () =>
    connectionsTo(leafPort) || (await grid.grid(again), connectionsTo(leafPort));
  await expect.poll(atLeaf, { interval: 5_000 }).toBeGreaterThan(0);
  await grid.crash('nats-n1');
  expect((await grid.grid(['wait', id, '--timeout', '200s'])).code).toBe(0);
  expect((await grid.grid(['get', id, '--to', join(dir, 'got')])).code).toBe(0);
  expect(sha256(readFileSync(join(dir, 'got', 'copy.bin')))).toBe(sha256(content));
  await grid.crash('nats-leaf');
  const last = (await grid.grid(submit)).stdout.trim();
  expect((await grid.grid(['wait', last, '--timeout', '200s'])).code).toBe(0);
  expect((await grid.grid(['logs', last])).stdout).toContain(sha256(content));
}, 600_000);
