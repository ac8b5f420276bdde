import { randomBytes } from 'node:crypto';
import { readdir, stat, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { ChunkStore } from '../../../service/staging/chunk-store.ts';
import { fetchTree } from '../../../service/staging/fetch-tree.ts';
import { sendTree } from '../../../service/staging/send-tree.ts';
import { listing, type TreeFixture, treeFixture } from '../../fakes/tree-fixture.ts';

const MIB = 2 ** 20;
let at: TreeFixture;
let known: string;
beforeEach(async () => {
  at = await treeFixture();
  known = join(at.dir, 'known');
  await at.write('large', randomBytes(12 * MIB));
  for (let n = 0; n < 20; n += 1) await at.write(`small/f${n}`, randomBytes(8_000));
});
afterEach(() => at[Symbol.asyncDispose]());

/** Long enough after the files were written that their times can be trusted. */
const later = { nowMs: () => Date.now() + 60_000, monotonicMs: () => performance.now() };
const send = (...paths: string[]) =>
  sendTree(at.store, { root: at.root, paths }, { knownDir: known, clock: later });

/** What is read is asked about chunk by chunk, what is known in one question. */
const questionsOf = async (work: () => Promise<unknown>): Promise<number> => {
  const before = at.store.calls.missing;
  await work();
  return at.store.calls.missing - before;
};

describe('a tree that is sent again', () => {
  test('is not read again, and is the same', async () => {
    const first = await send('.');
    let again = first;
    const questions = await questionsOf(async () => {
      again = await send('.');
    });
    expect(questions).toBe(1);
    expect(again).toEqual({ tree: first.tree, sentBytes: 0, savedBytes: first.sentBytes });
    expect(again.tree).toEqual((await at.send('.')).tree);
  });

  test.for(['large', 'small/f7'])(
    'has what was written to %s since, at the same size and time',
    async (path) => {
      const file = join(at.root, path);
      const { size } = await stat(file);
      await utimes(file, 1_000_000, 1_000_000);
      const first = await send('.');
      await writeFile(file, randomBytes(size));
      await utimes(file, 1_000_000, 1_000_000);
      const second = await send('.');
      expect(second.tree.digest).not.toBe(first.tree.digest);
      await fetchTree(at.store, second.tree, at.target);
      expect(await listing(at.target)).toEqual(await listing(at.root));
    },
  );

  test('is read again when it was written just before it was sent', async () => {
    const { mtimeMs } = await stat(join(at.root, 'large'));
    const clock = { ...later, nowMs: () => mtimeMs };
    const now = () =>
      sendTree(at.store, { root: at.root, paths: ['.'] }, { knownDir: known, clock });
    const questions = await questionsOf(now);
    expect(await questionsOf(now)).toBe(questions);
    expect(questions).toBeGreaterThan(1);
  });

  test('is read where the store has lost some of it', async () => {
    const first = await send('.');
    const lost = [...at.store.chunks].filter((_, n) => n % 5 === 1);
    for (const [digest] of lost) at.store.chunks.delete(digest);
    const again = await send('.');
    expect(again.tree).toEqual(first.tree);
    expect(again.sentBytes).toBe(lost.reduce((sum, [, bytes]) => sum + bytes.byteLength, 0));
    await fetchTree(at.store, again.tree, at.target);
    expect(await listing(at.target)).toEqual(await listing(at.root));
  });

  test('is read when what is known of it is damaged', async () => {
    const first = await send('.');
    const [name = ''] = await readdir(known);
    const kept = await stat(join(known, name));
    await writeFile(join(known, name), 'x', { flag: 'r+' });
    const questions = await questionsOf(() => send('.'));
    expect(questions).toBeGreaterThan(1);
    expect((await send('.')).tree).toEqual(first.tree);
    expect((await stat(join(known, name))).size).toBe(kept.size);
  });
});

describe('a tree that the broker holds', () => {
  const sendHeld = (held: boolean, ...paths: string[]) => {
    const asked: string[] = [];
    const isHeld = ({ digest }: { readonly digest: string }) => {
      asked.push(digest);
      return Promise.resolve(held);
    };
    const looked: string[] = [];
    const store: ChunkStore = {
      ...at.store,
      missing: (digests) => {
        looked.push(...digests);
        return at.store.missing(digests);
      },
    };
    const options = { knownDir: known, clock: later, isHeld };
    const sending = sendTree(store, { root: at.root, paths }, options);
    return sending.then((sent) => ({ sent, asked, looked }));
  };

  test('is named without a question for every chunk', async () => {
    for (let n = 0; n < 60; n += 1) await at.write(`alone/f${n}`, randomBytes(262_144));
    const first = await send('.');
    const { sent, asked, looked } = await sendHeld(true, '.');
    expect(asked).toEqual([first.tree.digest]);
    expect(sent).toEqual({ tree: first.tree, sentBytes: 0, savedBytes: first.sentBytes });
    expect([at.store.chunks.size > 70, looked.length < 18]).toEqual([true, true]);
    // The list of its files is looked for itself.
    at.store.chunks.delete(first.tree.digest);
    expect((await sendHeld(true, '.')).sent.tree).toEqual(first.tree);
    expect(at.store.chunks.has(first.tree.digest)).toBe(true);
  });

  test('is asked for and sent like any other where it is not held, was lost, or has changed', async () => {
    const first = await send('.');
    expect((await sendHeld(false, '.')).sent.tree).toEqual(first.tree);
    at.store.chunks.clear();
    expect((await sendHeld(true, '.')).sent).toEqual({ ...first, savedBytes: 0 });
    await writeFile(join(at.root, 'large'), randomBytes(12 * MIB));
    const changed = await sendHeld(true, '.');
    expect(changed.asked).toEqual([]);
    await fetchTree(at.store, changed.sent.tree, at.target);
    expect(await listing(at.target)).toEqual(await listing(at.root));
  });
});

test('what is known is kept of the latest trees only, and of small ones not at all', async () => {
  await at.send('.');
  for (let n = 0; n < 70; n += 1) await send(...Array.from({ length: n + 1 }, () => 'large'));
  await send('small');
  expect(await readdir(known)).toHaveLength(64);
});

test('a directory that cannot be written hinders nothing', async () => {
  await writeFile(known, 'a file');
  expect(await send('.')).toMatchObject({ tree: { files: 21 } });
});
