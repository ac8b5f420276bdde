import { spawnSync } from 'node:child_process';
import { chmodSync, readdirSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { keptSecret } from '../../service/kept-secret.ts';
import { testDirs } from '../support/test-dirs.ts';

const freshDir = testDirs('secret');

test('a secret is made once, also by two at the same time, and kept', async () => {
  const dir = freshDir();
  const file = join(dir, 'key');
  let made = 0;
  const keep = (): Promise<Buffer> => keptSecret(file, () => `secret ${(made += 1)}`);
  const [one, other] = await Promise.all([keep(), keep()]);
  expect(other).toEqual(one);
  expect(await keep()).toEqual(one);
  expect(statSync(file).mode & 0o777).toBe(0o600);
  expect(readdirSync(dir)).toEqual(['key']);
});

test('a disk that takes nothing leaves no empty secret behind', () => {
  const dir = freshDir();
  const module = new URL('../../service/kept-secret.ts', import.meta.url).href;
  const script = `const { keptSecret } = await import('${module}'); await keptSecret('key', () => 'a');`;
  const { status, stderr } = spawnSync(
    'sh',
    ['-c', 'ulimit -f 0; exec "$0" "$@"', process.execPath, '--input-type=module', '-e', script],
    // What is compiled could not be written either, and would lie about.
    { cwd: dir, encoding: 'utf8', env: { ...process.env, NODE_DISABLE_COMPILE_CACHE: '1' } },
  );
  expect(stderr).toContain('EFBIG');
  expect(status).toBe(1);
  expect(readdirSync(dir)).toEqual([]);
});

test('a secret that others may read is refused, not closed behind their backs', async () => {
  const file = join(freshDir(), 'key');
  writeFileSync(file, 'secret');
  chmodSync(file, 0o644);
  const kept = keptSecret(file, () => 'another');
  await expect(kept).rejects.toMatchObject({
    code: 'KEY_EXPOSED',
    message: `${file} holds a secret: others may read or change it (mode 0644): chmod 600 ${file}`,
  });
});
