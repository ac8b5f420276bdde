import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { EMPTY_TREE } from '../../core/data/manifest.ts';
import { GridError } from '../../core/errors.ts';
import { voName } from '../../core/ids.ts';
import { loadManifest } from '../../service/staging/read-tree.ts';
import type { Attempt } from '../../site-gateway/attempts/attempt.ts';
import { clearTransfer, openTransfers } from '../../site-gateway/staging/transfers.ts';
import { memoryStore } from '../fakes/memory-store.ts';
import { swapFolder } from '../fakes/swapped-folder.ts';

/** Mode of what is elsewhere. */
const SECRET = 0o600;

let dir: string;
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'hanse-race-'));
  const files = {
    'private/deep/secret.txt': 'secret',
    'open/tree/deep/public.txt': 'public',
  };
  for (const [path, text] of Object.entries(files)) {
    await mkdir(dirname(join(dir, path)), { recursive: true });
    await writeFile(join(dir, path), text, { mode: path.startsWith('private') ? SECRET : 0o644 });
  }
});
afterEach(() => rm(dir, { recursive: true }));

const attempt = {
  id: 'a-transfer',
  spec: { vo: voName('demo') },
  accepted: { job: { owner: { dn: '/CN=Ada', vo: 'demo', fqans: [] } } },
} as unknown as Attempt;

test('a file in the place where a transfer was to write is no trouble for who clears up', async () => {
  const open = { path: dir, vos: [voName('demo')], users: [], access: 'write' } as const;
  const path = join(dir, 'private/deep/secret.txt');
  const transfer = { kind: 'write', path, force: false } as const;
  await clearTransfer([open], attempt, transfer);
  expect(await readFile(path, 'utf8')).toBe('secret');
});

test('the directory that is read may become a link at any moment, and nothing elsewhere is read', async () => {
  const store = memoryStore();
  const open = {
    path: join(dir, 'open'),
    vos: [voName('demo')],
    users: [],
    access: 'read',
  } as const;
  const run = openTransfers({
    paths: [open],
    storeOf: () => store,
    stageIn: () => Promise.resolve(0),
  });
  const seen = new Set<string>();
  let whole = 0;
  const how = {
    signal: new AbortController().signal,
    isStopping: () => false,
    onProgress: () => undefined,
  };
  await using _swaps = await swapFolder(
    join(dir, 'open/tree'),
    join(dir, 'private'),
    join(dir, 'link'),
  );
  for (let tries = 0; tries < 1_500; tries += 1) {
    const transfer = { kind: 'read', path: join(dir, 'open/tree') } as const;
    const outcome = await run(attempt, transfer, how).catch((error: unknown) => error);
    if (outcome instanceof GridError) continue;
    const { outputs = EMPTY_TREE } = outcome as { outputs?: typeof EMPTY_TREE };
    if (outputs.digest === '') continue;
    const { entries } = await loadManifest(store, outputs);
    for (const entry of entries) {
      if (entry.kind === 'file' && entry.mode === SECRET) seen.add(entry.path);
    }
    whole += 1;
  }
  expect(whole).toBeGreaterThan(0);
  expect([...seen]).toEqual([]);
});
