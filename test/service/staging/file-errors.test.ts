import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { writeFailure } from '../../../service/staging/file-errors.ts';
import { testDirs } from '../../support/test-dirs.ts';

const newDir = testDirs('file-errors');

test('a file where a directory should be is told in words', () => {
  const path = join(newDir(), 'taken');
  writeFileSync(path, '');
  const refused = (dir: string): unknown => {
    try {
      return mkdirSync(dir, { recursive: true });
    } catch (error) {
      return writeFailure(dir, error);
    }
  };
  const below = join(path, 'x');
  expect([refused(path), refused(below)]).toMatchObject([
    { message: `'${path}' is in the way: it is no directory` },
    { message: `'${below}' lies below something that is no directory` },
  ]);
});
