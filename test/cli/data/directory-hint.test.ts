import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { withDirectoryHint } from '../../../cli/data/data-look.ts';
import { GridError } from '../../../core/errors.ts';
import { testDirs } from '../../support/test-dirs.ts';

const makeDir = testDirs('directory-hint');

test('a directory that was taken for a dataset is named as `diff` takes it', () => {
  const dir = makeDir();
  mkdirSync(join(dir, 'here/genome'), { recursive: true });
  const hint = (name: string): unknown =>
    withDirectoryHint(new GridError('DATASET_NOT_FOUND', 'no'), name, join(dir, 'here'));
  const said = (path: string) => ({ message: `no; the directory here is '${path}'` });
  expect(hint('genome')).toMatchObject(said('./genome'));
  expect(hint(join(dir, 'here/genome'))).toMatchObject(said('./genome'));
  expect(hint(dir)).toMatchObject(said('./..'));
  expect(hint('other')).toMatchObject({ message: 'no' });
});
