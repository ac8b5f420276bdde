import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { removeTree } from '../../service/remove-tree.ts';
import { testDirs } from '../support/test-dirs.ts';

const makeDir = testDirs('remove-tree');

test('a tree goes though its names are longer than a path may be', async () => {
  const root = join(makeDir(), 'root');
  mkdirSync(root);
  const script = 'for i in $(seq 25); do mkdir $0; cd -P $0; done; echo x >file';
  execFileSync('sh', ['-c', script, 'n'.repeat(200)], { cwd: root });
  await removeTree(root);
  expect(existsSync(root)).toBe(false);
});
