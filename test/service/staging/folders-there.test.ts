import { chmod, mkdir, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { fetchTree } from '../../../service/staging/fetch-tree.ts';
import { listing, type TreeFixture, treeFixture } from '../../fakes/tree-fixture.ts';
import { asNobody } from '../../support/as-nobody.ts';

let at: TreeFixture;
beforeEach(async () => {
  at = await treeFixture();
});
afterEach(() => at[Symbol.asyncDispose]());

test('a folder that is there and may not be written takes what is to be in it, and its mode', async () => {
  await at.write('sub/file', 'content');
  await at.write('sub/new/deep', 'deep');
  const { tree } = await at.send('.');
  await chmod(at.dir, 0o755);
  await using _ = asNobody(at.dir);
  await mkdir(join(at.target, 'sub'), { recursive: true });
  await writeFile(join(at.target, 'sub/file'), 'other');
  await chmod(join(at.target, 'sub'), 0o555);
  await fetchTree(at.store, tree, at.target);
  expect(await listing(at.target)).toEqual(await listing(at.root));
});

test('what is there of others is taken as it is, replaced, or named where neither can be', async () => {
  await at.write('sub/file', 'content', 0o755);
  await chmod(join(at.root, 'sub'), 0o777);
  const open = await at.send('.');
  await chmod(join(at.root, 'sub'), 0o755);
  const closed = await at.send('.');
  const sub = join(at.target, 'sub');
  await mkdir(sub, { recursive: true });
  await writeFile(join(sub, 'file'), 'content');
  for (const folder of [at.target, sub]) await chmod(folder, 0o777);
  await using _ = asNobody(at.dir);
  await fetchTree(at.store, open.tree, at.target);
  expect((await stat(join(sub, 'file'))).mode & 0o777).toBe(0o755);
  await expect(fetchTree(at.store, closed.tree, at.target)).rejects.toMatchObject({
    code: 'FILE_UNWRITABLE',
    message: "folder 'sub' is somebody else's: it cannot be given the mode 755",
  });
});
