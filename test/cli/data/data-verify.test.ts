import { randomBytes } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import type { Context } from '../../../cli/context.ts';
import { verifyTree } from '../../../cli/data/data-verify.ts';
import { chunksOf } from '../../../core/data/select.ts';
import { GridError } from '../../../core/errors.ts';
import { loadManifest } from '../../../service/staging/read-tree.ts';
import { sendTree } from '../../../service/staging/send-tree.ts';
import { memoryStore } from '../../fakes/memory-store.ts';
import { testDirs } from '../../support/test-dirs.ts';

const directory = testDirs('verify');

/** A tree of two chunks, the first of which the store has lost. */
async function lossy() {
  const root = directory();
  for (const name of ['a', 'b']) await writeFile(join(root, name), randomBytes(700_000));
  const store = memoryStore();
  const { tree } = await sendTree(store, { root, paths: ['.'] });
  const manifest = await loadManifest(store, tree);
  const [lost = '', kept = ''] = chunksOf(manifest);
  store.chunks.delete(lost);
  const said: string[] = [];
  const verify = (json: boolean, heal: (digests: readonly string[]) => Promise<void>) => {
    const terminal = { out: (text: string) => said.push(text), note: () => undefined };
    const context = { json, terminal, signal: new AbortController().signal };
    return verifyTree(context as unknown as Context, { name: '/demo/x@v1', store, manifest, heal });
  };
  return { store, lost, kept, said, verify };
}

const away = (): Promise<void> =>
  Promise.reject(new GridError('UNAVAILABLE', 'the broker cannot be reached'));

test('what is wrong is told, and handed to whoever repairs the store', async () => {
  const { lost, said, verify } = await lossy();
  const healed: string[] = [];
  const code = await verify(false, (digests) => Promise.resolve(void healed.push(...digests)));
  expect({ code, said, healed }).toEqual({ code: 1, said: [`missing  ${lost}`], healed: [lost] });
});

test('what is wrong is told also where it cannot be repaired, and why not', async () => {
  const { lost, said, verify } = await lossy();
  await expect(verify(false, away)).rejects.toThrow('the broker cannot be reached');
  expect(said).toEqual([`missing  ${lost}`]);
  await expect(verify(true, away)).rejects.toThrow('the broker cannot be reached');
  expect(JSON.parse(said[1] ?? '')).toMatchObject({
    chunks: 2,
    faults: [{ digest: lost, code: 'CHUNK_MISSING' }],
    notRepaired: 'UNAVAILABLE',
  });
});

test('what is wrong is told also where others could not be read', async () => {
  const { store, lost, kept, said, verify } = await lossy();
  const get = store.get.bind(store);
  const healed: string[] = [];
  store.get = (digest) =>
    digest === kept
      ? Promise.reject(new GridError('STAGING_UNAVAILABLE', 'the store is away'))
      : get(digest);
  await expect(
    verify(false, (digests) => Promise.resolve(void healed.push(...digests))),
  ).rejects.toThrow('the store is away');
  expect({ said, healed }).toEqual({ said: [`missing  ${lost}`], healed: [] });
});
