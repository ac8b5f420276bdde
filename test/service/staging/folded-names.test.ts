import { mkdir, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { sha256 } from '../../../service/staging/chunk-store.ts';
import { checkNames } from '../../../service/staging/folded-names.ts';
import { remnantOf } from '../../../service/staging/remnants.ts';

let dir: string;
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'hanse-names-'));
});
afterEach(() => rm(dir, { recursive: true }));

test('names are tried out in a directory that goes, and so does what a killed process left of one', async () => {
  const probe = remnantOf({ digest: sha256(Buffer.from('names')) });
  const left = probe.replace(`-${process.pid}-`, '-999999999-');
  for (const name of [left, probe]) {
    await mkdir(join(dir, name));
    await writeFile(join(dir, name, 'A'), '');
  }
  await checkNames([join(dir, 'a'), join(dir, 'A')]);
  expect(await readdir(dir)).toEqual([probe]);
});
