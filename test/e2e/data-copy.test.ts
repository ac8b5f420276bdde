import { execFileSync, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { existsSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { environmentOf } from '../../cli/up/bring-up.ts';
import { GRID, type LocalGrid, startLocalGrid } from '../support/local-grid.ts';

let grid: LocalGrid;
/** Of the site's own. */
let disk: string;
let site: string;
beforeAll(async () => {
  disk = mkdtempSync(join(tmpdir(), 'hanse-data-paths-'));
  for (const name of ['open', 'archive', 'secret']) mkdirSync(join(disk, name));
  const paths = [
    { path: join(disk, 'open'), vos: ['demo'], access: 'write' },
    { path: join(disk, 'archive'), vos: ['demo'] },
    { path: join(disk, 'secret'), vos: ['other'], access: 'write' },
  ];
  grid = await startLocalGrid({ sites: 2, siteSettings: [{ 'data-paths': paths }] });
  site = grid.plan.sites[0]?.name ?? '';
  const data = join(grid.layout.dir, 'hg38');
  mkdirSync(join(data, 'deep'), { recursive: true });
  writeFileSync(join(data, 'genome.fa'), randomBytes(5 * 2 ** 20));
  writeFileSync(join(data, 'deep', 'index'), 'index');
  await run('data', 'put', 'hg38', 'hg38');
});
afterAll(async () => {
  await grid[Symbol.asyncDispose]();
  rmSync(disk, { recursive: true, force: true });
});

const run = (...args: readonly string[]) => grid.grid(args);
const same = (a: string, b: string): string =>
  execFileSync('diff', ['-r', a, b], { encoding: 'utf8' });

test('a dataset goes to a directory of a site, and comes back as another one', async () => {
  const target = join(disk, 'open', 'a', 'hg38');
  const there = await run('data', 'cp', 'hg38', `${site}:${target}`);
  expect(there).toMatchObject({ code: 0, stdout: '/demo/hg38@v1\n' });
  expect(there.stderr).toContain('2 files, 5.0 MiB: 5.0 MiB moved');
  expect(same(target, join(grid.layout.dir, 'hg38'))).toBe('');
  // Again: what is there already is right.
  const again = await run('data', 'cp', 'hg38', `${site}:${target}`);
  expect(again.stderr).toContain('2 files, 5.0 MiB: nothing had to move');

  writeFileSync(join(target, 'deep', 'index'), 'other');
  const occupied = await run('data', 'cp', 'hg38', `${site}:${target}`);
  expect(occupied.code).toBe(6);
  expect(occupied.stderr).toContain('DATA_PATH_OCCUPIED');
  const back = await run('data', 'cp', `${site}:${target}`, 'changed');
  expect(back).toMatchObject({ code: 0, stdout: '/demo/changed@v1\n' });
  const got = join(grid.layout.dir, 'changed');
  expect((await run('data', 'get', 'changed', got)).code).toBe(0);
  expect(same(got, target)).toBe('');

  expect((await run('data', 'cp', 'hg38', `${site}:${target}`, '--force')).code).toBe(0);
  expect(same(target, join(grid.layout.dir, 'hg38'))).toBe('');
});

test('it goes on without us, and what it made gets its name later', async () => {
  writeFileSync(join(disk, 'archive', 'run.csv'), 'a,b\n');
  const from = `${site}:${join(disk, 'archive', 'run.csv')}`;
  const { stdout } = await run('data', 'cp', from, 'run', '--detach');
  const id = stdout.trim();
  expect((await run('wait', id, '--timeout', '30d')).code).toBe(0);
  expect((await run('data', 'put', `job:${id}`, 'run')).stdout).toBe('/demo/run@v1\n');
  expect((await run('data', 'ls', 'run')).stdout).toContain('run.csv');
});

test('who presses Ctrl-C is told that the copy goes on, and how to watch and end it', async () => {
  await run('site', 'drain', site);
  const from = `${site}:${join(disk, 'archive', 'run.csv')}`;
  const line = `stty cols 120; exec ${GRID} data cp ${from} late --share`;
  const child = spawn('script', ['-qec', line, '/dev/null'], {
    env: { ...process.env, ...environmentOf(grid), NO_COLOR: '1', TERM: 'xterm' },
    stdio: ['pipe', 'pipe', 'ignore'],
  });
  let said = '';
  child.stdout.on('data', (chunk) => {
    said += String(chunk);
  });
  try {
    await expect.poll(() => said).toContain('waiting, for ');
    child.stdin.write('\x03');
    // All that it said has been read then.
    const [code] = await once(child, 'close', { signal: AbortSignal.timeout(90_000) });
    expect([code, said]).toEqual([130, expect.not.stringContaining('✖')]);
    const id = /goes on as job (\w+)/.exec(said)?.[1] ?? '';
    expect(said).toContain(`\`grid wait ${id}\` waits for it, \`grid cancel ${id}\` ends it`);
    expect(said).toContain(`grid data put job:${id} /demo/late --share`);
    await run('site', 'resume', site);
    expect((await run('wait', id, '--timeout', '200s')).code).toBe(0);
  } finally {
    child.kill('SIGKILL');
    await run('site', 'resume', site);
  }
});

test('a dataset is warm at a site before any job wants it', async () => {
  const second = grid.plan.sites[1]?.name ?? '';
  expect((await run('data', 'cp', 'hg38', `${second}:`)).code).toBe(0);
  expect((await run('data', 'where', 'hg38')).stdout).toContain(second);
});

test('what the site has not opened is refused, and says why', async () => {
  symlinkSync(join(disk, 'secret'), join(disk, 'open', 'link'));
  const refused = [
    [join(disk, 'secret', 'x'), "neither to VO 'demo'"],
    [join(disk, 'archive', 'x'), 'be read only'],
    [join(disk, 'else'), 'opens nothing at'],
    [join(disk, 'open', 'link', 'x'), 'leads out of'],
  ] as const;
  for (const [path, why] of refused) {
    const { code, stderr } = await run('data', 'cp', 'hg38', `${site}:${path}`);
    expect(code).toBe(6);
    expect(stderr).toContain('TRANSFER_FAILED');
    expect(stderr).toContain('DATA_PATH_DENIED');
    expect(stderr).toContain(why);
    expect(existsSync(path)).toBe(false);
  }
  const absent = await run('data', 'cp', `${site}:${join(disk, 'open', 'none')}`, 'none');
  expect(absent.stderr).toContain('INPUT_MISSING');
  const wrong = await run('data', 'cp', 'hg38', `${site}:../etc`);
  expect(wrong).toMatchObject({ code: 2, stdout: '' });
  const nowhere = await run('data', 'cp', 'hg38', 'nowhere:/x');
  expect(nowhere).toMatchObject({ code: 4, stderr: expect.stringContaining('SITE_NOT_FOUND') });
});
