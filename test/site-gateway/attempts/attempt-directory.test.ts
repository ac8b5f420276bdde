import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { removeTree } from '../../../site-gateway/attempts/attempt-directory.ts';

let dir = '';
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'hanse-remove-'));
});
afterEach(() => {
  execFileSync('chmod', ['-R', 'u+rwx', dir]);
  rmSync(dir, { recursive: true });
});

test('directories that a task has closed are removed, and what links point at is left alone', async () => {
  const outside = join(dir, 'outside');
  const tree = join(dir, 'tree');
  mkdirSync(outside);
  writeFileSync(join(outside, 'kept'), '');
  mkdirSync(join(tree, 'closed', 'deeper'), { recursive: true });
  writeFileSync(join(tree, 'closed', 'deeper', 'file'), '');
  execFileSync('ln', ['-s', outside, join(tree, 'closed', 'link')]);
  execFileSync('chmod', ['0555', join(tree, 'closed', 'deeper'), join(tree, 'closed')]);
  await removeTree(tree);
  expect(existsSync(tree)).toBe(false);
  expect(existsSync(join(outside, 'kept'))).toBe(true);
});

test('what is not there needs no removing', async () => {
  await expect(removeTree(join(dir, 'nothing'))).resolves.toBeUndefined();
});
