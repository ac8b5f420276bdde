import { execFile } from 'node:child_process';
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { packInto } from '../support/packed.ts';

const run = promisify(execFile);
let dir = '';
beforeAll(() => {
  dir = mkdtempSync(join(tmpdir(), 'hanse-pack-'));
});
afterAll(() => rmSync(dir, { recursive: true, force: true }));

test('the packed package installs, and its grid runs the demo', async () => {
  await packInto(dir);
  const [tarball = ''] = readdirSync(dir);
  expect(tarball).toMatch(/^hanse-.*\.tgz$/);
  const prefix = join(dir, 'installed');
  const install = ['install', '--silent', '--no-audit', '--no-fund', '--prefix', prefix];
  await run('npm', [...install, join(dir, tarball)]);
  const env = { ...process.env, TMPDIR: dir, NO_COLOR: '1' };
  const { stdout } = await run(join(prefix, 'node_modules', '.bin', 'grid'), ['demo'], {
    cwd: prefix,
    env,
  });
  expect(stdout).toMatch(/demo: ok, 25 tasks on 2 sites/);
});
