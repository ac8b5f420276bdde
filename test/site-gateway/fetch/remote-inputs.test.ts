import { join } from 'node:path';
import { expect, test } from 'vitest';
import { attemptId } from '../../../core/ids.ts';
import { systemClock } from '../../../service/clock.ts';
import { type FileCache, openFileCache } from '../../../service/staging/file-cache.ts';
import { openRemoteInputs } from '../../../site-gateway/fetch/remote-inputs.ts';
import type { StagedAttempt } from '../../../site-gateway/staging/staging.ts';
import { specOf } from '../../fakes/offers.ts';
import { testDirs } from '../../support/test-dirs.ts';

const makeDir = testDirs('remote');
const never = (): never => {
  throw new Error('nothing is fetched here');
};

test('an attempt that is cancelled while it asks the cache does not wait for the download of another', async () => {
  const dir = makeDir();
  const digest = '0'.repeat(64);
  const from = `https://data.example.org/file#sha256=${digest}`;
  const attempt: StagedAttempt = {
    id: attemptId('j1.0.1'),
    jobId: 'j1',
    directory: dir,
    spec: specOf({ inputs: [{ from, to: 'file' }] }),
    inputs: { digest, totalBytes: 0, files: 0 },
    inputTrees: [],
    bytesIn: 0,
  };
  using remote = openRemoteInputs({
    web: { get: never, [Symbol.dispose]: () => undefined },
    signed: { get: never, add: never, keepOnly: never },
    clock: systemClock,
    patienceMs: 1_000,
    claimRoom: never,
    grew: never,
    pace: never,
  });
  const cache = await openFileCache({ dir: join(dir, 'cache') });
  const file = { digest, sizeBytes: undefined, mode: 0o644 };
  expect(await cache.ask(file)).toMatchObject({ kind: 'fill' });
  const cancel = new AbortController();
  const cancelled: FileCache = {
    ...cache,
    ask: (what) => cache.ask(what).finally(() => cancel.abort()),
  };
  const partials = join(dir, 'remote');
  const placing = remote.place(
    attempt,
    join(dir, 'work'),
    { cache: cancelled, partials },
    cancel.signal,
  );
  await expect(placing).rejects.toThrow('aborted');
});
