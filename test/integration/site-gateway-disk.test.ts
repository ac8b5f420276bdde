import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmdirSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type LiveGrid, openLiveGrid } from '../fakes/live-grid.ts';
import { startTestSite, type TestSite } from '../fakes/test-site.ts';

let grid: LiveGrid;
let site: TestSite;
let spool: string;
beforeAll(async () => {
  grid = await openLiveGrid();
  spool = mkdtempSync(join(tmpdir(), 'hanse-small-'));
  execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=24m', 'tmpfs', spool]);
  const settings = ['cpus: 2', 'min-free-disk: 1M', 'staging-patience: 0s'];
  site = await startTestSite(grid, 'small', settings, spool);
});
afterAll(async () => {
  await site[Symbol.asyncDispose]();
  execFileSync('umount', [spool]);
  rmdirSync(spool);
  await grid[Symbol.asyncDispose]();
});

test('a task that fills the disk fails as the fault of the site, and the site goes on', async () => {
  const command = ['sh', '-c', 'head -c 100000000 /dev/zero'];
  await site.place([{ id: 'fill', spec: { command } }]);
  expect(await site.outcomeOf('fill')).toMatchObject({ failure: 'site', reason: 'DISK_FULL' });
  await expect
    .poll(async () => (await site.place([{ id: 'after', spec: { command: ['true'] } }]))[0], {
      timeout: 10_000,
    })
    .toMatchObject({ reason: '' });
  expect(await site.outcomeOf('after')).toMatchObject({ reason: '' });
});

test('below the room that is to stay free nothing new is taken, and it says why', async () => {
  execFileSync('sh', ['-c', `head -c 23800K /dev/zero >${join(spool, 'somebody-elses')}`]);
  let count = 0;
  const placeAnother = async (): Promise<string | undefined> => {
    count += 1;
    const [answer] = await site.place([{ id: `no-${count}`, spec: { command: ['true'] } }]);
    return answer?.detail;
  };
  await expect
    .poll(placeAnother, { timeout: 10_000 })
    .toMatch(/^disk full: .* free, the site keeps 1 MiB$/);
});
