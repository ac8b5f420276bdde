import { randomBytes } from 'node:crypto';
import { mkdir, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { fetchTree } from '../../../service/staging/fetch-tree.ts';
import { sendTree } from '../../../service/staging/send-tree.ts';
import { listing, type TreeFixture, treeFixture } from '../../fakes/tree-fixture.ts';

let at: TreeFixture;
beforeEach(async () => {
  at = await treeFixture();
});
afterEach(() => at[Symbol.asyncDispose]());

describe('what lies outside the root', () => {
  const sendOutside = async (name: string) => {
    const outside = [{ at: join(at.dir, name), path: '.grid/outside/x' }];
    const { tree } = await sendTree(at.store, { root: at.root, paths: ['in'], outside });
    await fetchTree(at.store, tree, at.target);
    return tree;
  };
  beforeEach(async () => {
    await at.write('in', 'inside');
    await mkdir(join(at.dir, 'real/d/empty'), { recursive: true });
    await writeFile(join(at.dir, 'real/d/f'), 'outside');
    await writeFile(join(at.dir, 'real/big'), randomBytes(2_500_000));
  });

  test('is sent with what lies inside, in the place it is given', async () => {
    await symlink('f', join(at.dir, 'real/d/link'));
    expect(await sendOutside('real/d')).toMatchObject({ files: 2 });
    expect(await listing(join(at.target, '.grid/outside/x'))).toEqual(
      await listing(join(at.dir, 'real/d')),
    );
    expect(await readFile(join(at.target, 'in'), 'utf8')).toBe('inside');
  });

  test('may be an empty directory, and a file of several chunks behind links on the way to it', async () => {
    await sendOutside('real/d/empty');
    expect(await readdir(join(at.target, '.grid/outside/x'))).toEqual([]);
    await rm(at.target, { recursive: true });
    await symlink('real', join(at.dir, 'scratch'));
    await symlink('scratch/big', join(at.dir, 'current'));
    await sendOutside('current');
    const big = await readFile(join(at.dir, 'real/big'));
    expect((await readFile(join(at.target, '.grid/outside/x'))).equals(big)).toBe(true);
  });

  test.for(['/etc/passwd', '../big'])('has no links that lead out of it: %s', async (to) => {
    await symlink(to, join(at.dir, 'real/d/evil'));
    await expect(sendOutside('real/d')).rejects.toMatchObject({
      code: 'PATH_REFUSED',
      message: expect.stringMatching(`"evil" is a link to '${to}'.* \\(in '${at.dir}/real/d'\\)`),
    });
  });

  test('is named whole where it cannot be read', async () => {
    await expect(sendOutside('real/none')).rejects.toMatchObject({
      code: 'FILE_UNREADABLE',
      message: `'${at.dir}/real/none' is not there (any more)`,
    });
    await symlink('/dev/null', join(at.dir, 'real/null'));
    await expect(sendOutside('real/null')).rejects.toMatchObject({
      code: 'PATH_REFUSED',
      message: expect.stringContaining('is a device, socket or pipe'),
    });
  });
});
