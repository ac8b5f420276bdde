import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { filesOf } from '../../../core/data/select.ts';
import { fetchFiles } from '../../../service/staging/fetch-files.ts';
import { loadManifest } from '../../../service/staging/read-tree.ts';
import { treeFixture } from '../../fakes/tree-fixture.ts';

test('files are abandoned also where what is left of them cannot be removed', async () => {
  await using at = await treeFixture();
  await at.write('a', 'AAAA');
  const { tree } = await at.send('.');
  const partial = join(at.dir, 'folder');
  await mkdir(join(partial, 'of somebody'), { recursive: true });
  const abandoned: boolean[] = [];
  const fetches = filesOf(await loadManifest(at.store, tree)).map((file) => ({
    file,
    partial,
    mode: 0o644,
    landed: () => undefined,
    abandon: async (isKept: boolean) => void abandoned.push(isKept),
  }));
  const fetched = fetchFiles(at.store, fetches, { onChunk: () => undefined });
  await expect(fetched).rejects.toMatchObject({ code: 'FILE_UNWRITABLE' });
  expect(abandoned).toEqual([false]);
});
