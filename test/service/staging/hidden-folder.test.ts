import { randomBytes } from 'node:crypto';
import { readdirSync } from 'node:fs';
import { chmod, mkdir, readdir, readFile, rename, rm, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { GridError } from '../../../core/errors.ts';
import { pause } from '../../../service/background.ts';
import { removeTree } from '../../../service/remove-tree.ts';
import { fetchTree } from '../../../service/staging/fetch-tree.ts';
import { loadManifest } from '../../../service/staging/read-tree.ts';
import { listing, type TreeFixture, treeFixture } from '../../fakes/tree-fixture.ts';
import { asNobody } from '../../support/as-nobody.ts';

/** No process has so high a number. */
const NOBODY = 999_999_999;
let at: TreeFixture;
beforeEach(async () => {
  at = await treeFixture();
});
afterEach(() => at[Symbol.asyncDispose]());

/** Fetches a small tree, and does `meanwhile` when its list is known and nothing of it has come yet. */
async function fetchWhile(meanwhile: () => Promise<void>): Promise<void> {
  await at.write('data/a', 'AAAA');
  await at.write('data/deep/b', 'BBBB', 0o755);
  await at.write('c', 'CCCC');
  const { tree } = await at.send('.');
  const store = {
    ...at.store,
    receive: async (digest: string) => {
      await meanwhile();
      return at.store.receive(digest);
    },
  };
  await fetchTree(store, tree, at.target);
}

describe('a small tree that goes where nothing is', () => {
  test('appears when it is whole', async () => {
    let names: readonly string[] = [];
    await fetchWhile(async () => {
      names = await readdir(at.dir);
    });
    expect(names).toEqual([expect.stringMatching(/^\.grid-.*\.part$/), 'root']);
    expect(await listing(at.target)).toEqual(await listing(at.root));
    expect((await readdir(at.dir)).toSorted()).toEqual(['root', 'target']);
  });

  test('removes what killed transfers to the same place have left, and nothing of others', async () => {
    let hidden = '';
    const look = async (): Promise<void> => {
      hidden = (await readdir(at.dir)).find((name) => name.startsWith('.grid-')) ?? '';
    };
    await fetchWhile(look);
    await rm(at.target, { recursive: true });
    const of = (pid: number): string => hidden.replace(`-${process.pid}-`, `-${pid}-`);
    const another = of(NOBODY).replace(/^.grid-.{8}/, '.grid-00000000');
    for (const name of [of(NOBODY), of(1), another])
      await mkdir(join(at.dir, name, 'data'), { recursive: true });
    // The folder is looked at once a second.
    await pause(1_000);
    await fetchTree(at.store, (await at.send('.')).tree, at.target);
    expect((await readdir(at.dir)).toSorted()).toEqual(
      [another, of(1), 'root', 'target'].toSorted(),
    );
  });

  test('goes into the folder that came there meanwhile, and leaves the rest of it alone', async () => {
    await fetchWhile(async () => {
      await mkdir(join(at.target, 'data', 'deep'), { recursive: true });
      await writeFile(join(at.target, 'data', 'theirs'), 'theirs');
      await writeFile(join(at.target, 'data', 'deep', 'b'), 'old');
    });
    expect(await readFile(join(at.target, 'data', 'theirs'), 'utf8')).toBe('theirs');
    expect(await readFile(join(at.target, 'data', 'deep', 'b'), 'utf8')).toBe('BBBB');
    expect(await readFile(join(at.target, 'c'), 'utf8')).toBe('CCCC');
    expect((await readdir(at.dir)).toSorted()).toEqual(['root', 'target']);
  });

  test.each([
    { what: 'a file', put: (place: string) => writeFile(place, 'theirs') },
    { what: 'a link', put: (place: string) => symlink('root', place) },
  ])('is refused where $what came there meanwhile', async ({ put }) => {
    const fetching = fetchWhile(() => put(at.target).catch(() => undefined));
    await expect(fetching).rejects.toMatchObject({ code: 'FILE_UNWRITABLE' });
    expect((await readdir(at.root)).toSorted()).toEqual(['c', 'data']);
    expect((await readdir(at.dir)).toSorted()).toEqual(['root', 'target']);
  });

  test('is asked for while its folders are made, each chunk once', async () => {
    for (let n = 0; n < 40; n += 1) await at.write(`deep/f${n}`, randomBytes(100_000));
    await at.write('zeros', Buffer.alloc(2 ** 20));
    const { tree } = await at.send('.');
    const asked: string[] = [];
    const made: number[] = [];
    const store = {
      ...at.store,
      receive: (digest: string) => {
        asked.push(digest);
        const hidden = readdirSync(at.dir).find((name) => name.startsWith('.grid-')) ?? '';
        made.push(readdirSync(join(at.dir, hidden)).length);
        return at.store.receive(digest);
      },
    };
    await fetchTree(store, tree, at.target);
    // All but the zeros and the list.
    expect(asked.toSorted()).toEqual([...new Set(asked)].toSorted());
    expect(asked).toHaveLength(at.store.chunks.size - 2);
    expect(made[0]).toBe(0);
    expect(await listing(at.target)).toEqual(await listing(at.root));
  });

  test('keeps what was whole when the rest of it could not come', async () => {
    await at.write('a', 'AAAA');
    await at.write('large', Buffer.alloc(300_000, 7));
    const { tree } = await at.send('.');
    const { entries } = await loadManifest(at.store, tree);
    const large = entries.find(({ path }) => path === 'large');
    const digest = large?.kind === 'file' ? large.slices[0]?.digest : undefined;
    at.store.chunks.delete(digest ?? '');
    await expect(fetchTree(at.store, tree, at.target)).rejects.toMatchObject({
      code: 'CHUNK_MISSING',
    });
    expect(await readdir(at.target)).toEqual(['a']);
    expect((await readdir(at.dir)).toSorted()).toEqual(['root', 'target']);
  });

  test('tells why it did not come, and not what that led to', async () => {
    const failing = fetchWhile(async () => {
      await writeFile(at.target, 'theirs');
      throw new GridError('STAGING_UNAVAILABLE', 'the store has gone');
    });
    await expect(failing).rejects.toMatchObject({ code: 'STAGING_UNAVAILABLE' });
    expect((await readdir(at.dir)).toSorted()).toEqual(['root', 'target']);
  });

  test('with folders that may not be written is moved, and cleared, by who is not root', async () => {
    await using _ = asNobody(at.dir);
    let hidden = '';
    await at.write('open/shut/a', 'AAAA');
    await mkdir(join(at.root, 'open', 'also'));
    // Some are being removed while others resist.
    for (let n = 0; n < 40; n += 1) await mkdir(join(at.root, 'open', `more-${n}`));
    await chmod(join(at.root, 'open', 'shut'), 0o555);
    const { tree } = await at.send('.');
    const fetch = (meanwhile: () => Promise<void>) =>
      fetchTree(
        {
          ...at.store,
          receive: async (digest: string) => {
            await meanwhile();
            return at.store.receive(digest);
          },
        },
        tree,
        at.target,
      );
    await fetch(async () => {
      hidden = (await readdir(at.dir)).find((name) => name.startsWith('.grid-')) ?? '';
      await mkdir(join(at.target, 'open', 'also'), { recursive: true });
    });
    expect(await listing(at.target)).toEqual(await listing(at.root));
    const left = join(at.dir, hidden.replace(`-${process.pid}-`, `-${NOBODY}-`));
    await rename(at.target, left);
    // The folder is looked at once a second.
    await pause(1_000);
    await fetch(() => Promise.resolve());
    expect((await readdir(at.dir)).toSorted()).toEqual(['root', 'target']);
    await removeTree(at.target);
    await removeTree(at.root);
  });
});
