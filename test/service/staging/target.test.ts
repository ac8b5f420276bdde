import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { sha256 } from '../../../service/staging/chunk-store.ts';
import { openTarget } from '../../../service/staging/target.ts';
import { swapFolder } from '../../fakes/swapped-folder.ts';

test('a file that is there is looked at as one, while a link comes and goes in its place', async () => {
  await using stack = new AsyncDisposableStack();
  const dir = await mkdtemp(join(tmpdir(), 'hanse-target-'));
  stack.defer(() => rm(dir, { recursive: true }));
  const content = Buffer.from('content');
  await writeFile(join(dir, 'file'), content);
  const elsewhere = join(dir, 'elsewhere');
  await writeFile(elsewhere, content);
  const target = await openTarget(dir, { shared: { within: dir, transfer: 't' } });
  stack.defer(() => target.close());
  stack.use(await swapFolder(join(dir, 'file'), elsewhere, join(dir, 'link')));
  const file = { kind: 'file', path: 'file', sizeBytes: content.length, slices: [] } as const;
  const seen = new Set<boolean>();
  const untilMs = performance.now() + 2_000;
  // On a busy machine it may take longer until it was seen both ways.
  for (let mode = 0o600; performance.now() < untilMs || seen.size < 2; mode ^= 0o044)
    seen.add(await target.hasFile({ ...file, mode, digest: sha256(content) }));
  expect(seen).toEqual(new Set([false, true]));
});
