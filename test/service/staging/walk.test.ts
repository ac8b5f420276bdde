import { chmod, mkdir, mkdtemp, rename, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { atOnce } from '../../../service/staging/disk/file-work.ts';
import { walk } from '../../../service/staging/walk.ts';

const FILES = 300;

let dir: string;
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'hanse-walk-'));
  for (const folder of ['root/deep', 'elsewhere']) {
    await mkdir(join(dir, folder), { recursive: true });
    for (let n = 0; n < FILES; n += 1)
      await writeFile(join(dir, folder, String(n)), '', {
        mode: folder === 'elsewhere' ? 0o600 : 0o644,
      });
  }
});
afterEach(() => rm(dir, { recursive: true }));

test('a folder that becomes a link while it is looked at stays what it was', async () => {
  const steps = walk(join(dir, 'root'), ['.']);
  expect(steps.next().done).toBe(false);
  await rename(join(dir, 'root/deep'), join(dir, 'root/away'));
  await symlink(join(dir, 'elsewhere'), join(dir, 'root/deep'));
  const files = atOnce(steps).filter(({ kind }) => kind === 'file');
  expect(files).toHaveLength(FILES);
  expect(new Set(files.map((file) => 'mode' in file && file.mode))).toEqual(new Set([0o644]));
});

test('a folder that has become a link before it is looked at is not entered', async () => {
  await mkdir(join(dir, 'root/many'));
  for (let n = 0; n < FILES; n += 1) await writeFile(join(dir, 'root/many', String(n)), '');
  const steps = walk(join(dir, 'root'), ['many', 'deep/0']);
  expect(steps.next().done).toBe(false);
  await rename(join(dir, 'root'), join(dir, 'away'));
  await symlink(join(dir, 'elsewhere'), join(dir, 'root'));
  await mkdir(join(dir, 'elsewhere/deep'));
  await writeFile(join(dir, 'elsewhere/deep/0'), '');
  expect(() => atOnce(steps)).toThrow("'deep' was moved while it was read");
});

test('a folder that may be entered and not listed gives the file that is named', async () => {
  await chmod(join(dir, 'root/deep'), 0o311);
  expect(atOnce(walk(join(dir, 'root'), ['deep/7']))).toMatchObject([{ path: 'deep/7' }]);
});

test('a root that is no folder is told by its name', () => {
  const root = join(dir, 'root/deep/0');
  expect(() => atOnce(walk(root, ['.']))).toThrow(
    `'${root}' lies below something that is no directory`,
  );
});
