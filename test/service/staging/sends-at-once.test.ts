import { randomBytes } from 'node:crypto';
import { readFile, rm, symlink, utimes } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { EMPTY_TREE } from '../../../core/data/manifest.ts';
import { sha256 } from '../../../service/staging/chunk-store.ts';
import { diskThread } from '../../../service/staging/disk/disk.ts';
import { fetchTree } from '../../../service/staging/fetch-tree.ts';
import { sendTree } from '../../../service/staging/send-tree.ts';
import { type TreeFixture, treeFixture } from '../../fakes/tree-fixture.ts';

let at: TreeFixture;
beforeEach(async () => {
  at = await treeFixture();
});
afterEach(() => at[Symbol.asyncDispose]());

describe('in a process with a thread for files', () => {
  beforeAll(() => {
    diskThread();
  });

  test('two sends of one tree at once do not read in each other', async () => {
    const content = randomBytes(12 * 2 ** 20);
    await at.write('large', content);
    const sends = await Promise.all(Array.from({ length: 3 }, () => at.send('.')));
    for (const { tree } of sends) expect(tree.digest).toBe(sends[0]?.tree.digest);
    await fetchTree(at.store, sends[0]?.tree ?? EMPTY_TREE, at.target);
    expect(content.equals(await readFile(join(at.target, 'large')))).toBe(true);
  });

  test('a name that leads to another folder by now is not read where it led before', async () => {
    const names = ['one', 'other'];
    const digests: string[] = [];
    const root = join(at.dir, 'link');
    for (const name of names) {
      await at.write(`${name}/same`, randomBytes(1_000));
      await utimes(join(at.root, name, 'same'), 1_000, 1_000);
      await symlink(join(at.root, name), root);
      const { tree } = await sendTree(at.store, { root, paths: ['.'] });
      await rm(root);
      await fetchTree(at.store, tree, join(at.target, name));
      digests.push(sha256(await readFile(join(at.target, name, 'same'))));
      expect(digests.at(-1)).toBe(sha256(await readFile(join(at.root, name, 'same'))));
    }
    expect(new Set(digests).size).toBe(2);
  });
});
