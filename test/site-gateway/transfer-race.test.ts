import { mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { Worker } from 'node:worker_threads';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { EMPTY_TREE } from '../../core/data/manifest.ts';
import { GridError } from '../../core/errors.ts';
import { voName } from '../../core/ids.ts';
import { loadManifest } from '../../service/staging/read-tree.ts';
import type { Attempt } from '../../site-gateway/attempts/attempt.ts';
import { openTransfers } from '../../site-gateway/staging/transfers.ts';
import { memoryStore } from '../fakes/memory-store.ts';

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

/** Puts a link out of the open directory in the place of a folder and back again, as fast as it goes. */
const SWAP = `
const { renameSync, symlinkSync } = require('node:fs');
const { workerData: { folder, link, stop } } = require('node:worker_threads');
while (Atomics.load(stop, 0) === 0) {
  renameSync(folder, folder + '.away');
  renameSync(link, folder);
  renameSync(folder, link);
  renameSync(folder + '.away', folder);
}
`;

async function swapping(folder: string, to: string): Promise<AsyncDisposable> {
  const link = join(dir, 'link');
  await symlink(to, link);
  const stop = new Int32Array(new SharedArrayBuffer(4));
  const worker = new Worker(SWAP, { eval: true, workerData: { folder, link, stop } });
  const ended = new Promise<void>((resolve, reject) => {
    worker.on('exit', () => resolve()).on('error', reject);
  });
  return {
    [Symbol.asyncDispose]: () => {
      Atomics.store(stop, 0, 1);
      return ended;
    },
  };
}

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
  const attempt = {
    spec: { vo: voName('demo') },
    accepted: { job: { owner: { dn: '/CN=Ada', vo: 'demo', fqans: [] } } },
  } as unknown as Attempt;
  const seen = new Set<string>();
  let whole = 0;
  const how = {
    signal: new AbortController().signal,
    isStopping: () => false,
    onProgress: () => undefined,
  };
  await using _swaps = await swapping(join(dir, 'open/tree'), join(dir, 'private'));
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
