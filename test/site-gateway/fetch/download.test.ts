import { statSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { download } from '../../../site-gateway/fetch/download.ts';
import { testDirs } from '../../support/test-dirs.ts';

const makeDir = testDirs('download');
const none = (): undefined => undefined;

test('a download whose server is away shows that somebody goes on with it: nobody takes it for room', async () => {
  const partial = join(makeDir(), 'half.part');
  writeFileSync(partial, 'what an earlier try has left');
  utimesSync(partial, 1_000, 1_000);
  const ends = new AbortController();
  let usedAtMs = 0;
  const web = {
    get: async () => {
      usedAtMs = statSync(partial).mtimeMs;
      ends.abort();
      throw new Error('the server is away');
    },
    [Symbol.dispose]: () => undefined,
  };
  const wanted = {
    url: async () => new URL('https://data.example.org/half'),
    digest: '0'.repeat(64),
    partial,
    checkSize: () => undefined,
    makeRoom: async () => undefined,
    pace: async () => undefined,
    arrived: none,
  };
  const wait = { on: none, over: none, met: none, lastedMs: () => 0 };
  const sinceMs = Date.now() - 1_000;
  await expect(
    download(wanted, { web, wait, patienceMs: 1_000, signal: ends.signal }),
  ).rejects.toThrow('aborted');
  expect(usedAtMs).toBeGreaterThan(sinceMs);
});
