import { mkdir, mkdtemp, open, realpath, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { O_PATH } from '../../../service/staging/anchors.ts';
import { rootWithoutLinks } from '../../../service/staging/held-folder.ts';
import { swapFolder } from '../../fakes/swapped-folder.ts';

test('a folder that is held is itself, while a link comes and goes in its place', async () => {
  const dir = await realpath(await mkdtemp(join(tmpdir(), 'hanse-held-')));
  await using stack = new AsyncDisposableStack();
  stack.defer(() => rm(dir, { recursive: true }));
  const [folder, elsewhere] = [join(dir, 'folder'), join(dir, 'private')];
  await Promise.all([mkdir(folder), mkdir(elsewhere)]);
  const handle = await open(folder, O_PATH);
  stack.defer(() => handle.close());
  stack.use(await swapFolder(folder, elsewhere, join(dir, 'link')));
  const seen = new Set<string>();
  // A lookup of its path would end in the other one once in some two thousand times.
  const untilMs = performance.now() + 2_000;
  while (performance.now() < untilMs || seen.size < 2)
    seen.add(rootWithoutLinks(`/proc/self/fd/${handle.fd}`));
  expect([...seen].toSorted()).toEqual([folder, `${folder}.away`]);
});
