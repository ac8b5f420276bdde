import { mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { ensureDirectory } from '../../service/directories.ts';

const dir = mkdtempSync(join(tmpdir(), 'hanse-directories-'));
afterAll(() => rmSync(dir, { recursive: true }));

test('a directory is made with all above it, in one mode, and may be there', () => {
  for (let time = 0; time < 2; time += 1) ensureDirectory(join(dir, 'a/b/c'), 0o700);
  for (const path of ['a', 'a/b', 'a/b/c'])
    expect(statSync(join(dir, path)).mode & 0o777).toBe(0o700);
});

test.for([
  ['/proc/none/of/these', 'ENOENT'],
  [join(dir, 'file'), 'EEXIST'],
  [join(dir, 'file/below'), 'ENOTDIR'],
])('%s cannot be made: %s', ([path = '', code]) => {
  writeFileSync(join(dir, 'file'), '');
  expect(() => ensureDirectory(path)).toThrow(expect.objectContaining({ code }));
});
