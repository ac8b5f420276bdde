import { chmodSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { pathLine } from '../../../cli/up/up.ts';
import { testDirs } from '../../support/test-dirs.ts';

const newDir = testDirs('path-line');

test('the environment of a grid makes `grid` a command where it is none', () => {
  const checkout = newDir();
  expect(pathLine('/usr/bin', checkout)).toBeUndefined();
  writeFileSync(join(checkout, 'grid'), '');
  chmodSync(join(checkout, 'grid'), 0o755);
  expect(pathLine('/nowhere:', checkout)).toBe(`export PATH="$PATH":'${checkout}'`);
  expect(pathLine(`/nowhere:${checkout}`, checkout)).toBeUndefined();
});
