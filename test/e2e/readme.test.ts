import { execFile } from 'node:child_process';
import { cpSync, mkdtempSync, readFileSync, rmSync, symlinkSync } from 'node:fs';
import { homedir, tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { endProcessesBelow } from '../../cli/up/process.ts';

const run = promisify(execFile);
let home = '';
beforeAll(() => {
  home = mkdtempSync(join(tmpdir(), 'hanse-readme-'));
});
afterAll(async () => {
  await endProcessesBelow(home);
  rmSync(home, { recursive: true, force: true });
});

test('the ten lines of the README run as they stand', async () => {
  const [, lines = ''] = /```sh\n([\s\S]*?)```/.exec(readFileSync('README.md', 'utf8')) ?? [];
  expect(lines.trim().split('\n')).toHaveLength(10);
  // A checkout of its own, so that what the lines write does not land in this one.
  const checkout = join(home, 'hanse');
  const skip = /(?:^|\/)(?:node_modules|\.git|dist|hanse-demo|grid\.env)(?:\/|$)/;
  cpSync(process.cwd(), checkout, {
    preserveTimestamps: true,
    recursive: true,
    filter: (from) => !skip.test(from.slice(process.cwd().length)),
  });
  symlinkSync(join(process.cwd(), 'node_modules'), join(checkout, 'node_modules'));
  const { stdout } = await run('sh', ['-e', '-c', lines], {
    cwd: checkout,
    env: {
      ...process.env,
      HOME: home,
      XDG_CACHE_HOME: join(homedir(), '.cache'),
      NO_COLOR: '1',
    },
    maxBuffer: 16 * 2 ** 20,
  });
  expect(stdout).toMatch(/demo: ok, 25 tasks on 2 sites/);
  expect(stdout).toMatch(/^49$/m);
  expect(stdout).toMatch(/hello +/);
});
