import { readdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { attemptId } from '../../../core/ids.ts';
import { systemClock } from '../../../service/clock.ts';
import { sha256 } from '../../../service/staging/chunk-store.ts';
import { land } from '../../../service/staging/disk/chunk-writer.ts';
import { type FileCache, openFileCache } from '../../../service/staging/file-cache.ts';
import { openRemoteInputs } from '../../../site-gateway/fetch/remote-inputs.ts';
import type { RoomClaim } from '../../../site-gateway/staging/disk-room.ts';
import type { StagedAttempt } from '../../../site-gateway/staging/staging.ts';
import { specOf } from '../../fakes/offers.ts';
import { testDirs } from '../../support/test-dirs.ts';

const makeDir = testDirs('remote');
const never = (): never => {
  throw new Error('nothing is fetched here');
};

const DIGEST = sha256(Buffer.from('content'));

/** A job that wants one file from elsewhere, and what puts it there; `claimRoom` where it takes room. */
function wanting(claimRoom: () => RoomClaim) {
  const dir = makeDir();
  const from = `https://data.example.org/file#sha256=${DIGEST}`;
  const attempt: StagedAttempt = {
    id: attemptId('j1.0.1'),
    jobId: 'j1',
    directory: dir,
    spec: specOf({ inputs: [{ from, to: 'file' }] }),
    inputs: { digest: DIGEST, totalBytes: 0, files: 0 },
    inputTrees: [],
    bytesIn: 0,
  };
  const remote = openRemoteInputs({
    web: { get: never, [Symbol.dispose]: () => undefined },
    signed: { get: never, add: never, keepOnly: never },
    clock: systemClock,
    patienceMs: 1_000,
    leastRate: 1_024,
    claimRoom,
    grew: never,
    pace: never,
  });
  const work = join(dir, 'work');
  const place = (cache: FileCache, { signal }: AbortController) =>
    remote.place(attempt, work, { cache, partials: join(dir, 'remote') }, signal);
  return { place, work, cacheDir: join(dir, 'cache') };
}

const file = { digest: DIGEST, sizeBytes: undefined, mode: 0o644 };

test('an attempt that is cancelled while it asks the cache does not wait for the download of another', async () => {
  const { place, cacheDir } = wanting(never);
  const cache = await openFileCache({ dir: cacheDir });
  expect(await cache.ask(file)).toMatchObject({ kind: 'fill' });
  const cancel = new AbortController();
  const cancelled: FileCache = {
    ...cache,
    ask: (what) => cache.ask(what).finally(() => cancel.abort()),
  };
  await expect(place(cancelled, cancel)).rejects.toThrow('aborted');
});

test('the copy that a task gets of a cached file has room made for it', async () => {
  const wanted: number[] = [];
  let room = 7;
  const claim: RoomClaim = {
    want: (bytes) => Promise.resolve(wanted.push(bytes) > 0 ? room : 0),
    came: never,
    [Symbol.dispose]: () => undefined,
  };
  const { place, work, cacheDir } = wanting(() => claim);
  const cache = await openFileCache({ dir: cacheDir, placement: 'copy' });
  const fill = await cache.ask(file);
  if (fill.kind !== 'fill') throw new Error(`it is ${fill.kind}`);
  await writeFile(fill.partial, 'content', { mode: fill.mode });
  land(fill);
  fill.landed(7);
  expect(await place(cache, new AbortController())).toBe(0);
  expect(wanted).toEqual([7]);
  await rm(work, { recursive: true });
  room = 6;
  await expect(place(cache, new AbortController())).rejects.toMatchObject({
    code: 'DISK_FULL',
    message: expect.stringContaining('7 B of an input from elsewhere do not fit'),
  });
  expect(await readdir(work)).toEqual([]);
});
