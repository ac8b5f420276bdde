import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { chmodSync, chownSync, readFileSync, statSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { sha256 } from '../../../service/staging/chunk-store.ts';
import { download } from '../../../site-gateway/fetch/download.ts';
import { openWeb } from '../../../site-gateway/fetch/https-get.ts';
import { writeTlsIdentity } from '../../fakes/tls-identity.ts';
import { startWebServer } from '../../fakes/web-server.ts';
import { testDirs } from '../../support/test-dirs.ts';

const makeDir = testDirs('download');
const none = (): undefined => undefined;
const rest = {
  checkSize: none,
  makeRoom: async () => undefined,
  pace: async () => undefined,
  arrived: none,
};

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
    ...rest,
  };
  const wait = { on: none, came: none, met: none, lastedMs: () => 0, tooSlow: () => '' };
  const sinceMs = Date.now() - 1_000;
  await expect(
    download(wanted, { web, wait, patienceMs: 1_000, signal: ends.signal }),
  ).rejects.toThrow('aborted');
  expect(usedAtMs).toBeGreaterThan(sinceMs);
});

test('a server that begins anew is not silent, and gives nothing new until it is further than before', async () => {
  const dir = makeDir();
  const { certFile, keyFile, caPem } = await writeTlsIdentity(dir);
  const [cert, key] = [readFileSync(certFile, 'utf8'), readFileSync(keyFile, 'utf8')];
  await using server = await startWebServer({ cert, key });
  const bytes = randomBytes(1_000_000);
  server.serve('/file', { bytes, noRanges: true });
  const partial = join(dir, 'half.part');
  writeFileSync(partial, bytes.subarray(0, 900_000));
  using web = openWeb({
    rules: [{ host: '127.0.0.1', port: server.port }],
    moreCa: caPem,
    silenceMs: 10_000,
  });
  const url = async () => new URL(`https://127.0.0.1:${server.port}/file`);
  const news: boolean[] = [];
  const had: number[] = [];
  const wait = {
    on: (_host: string, hadBytes: number) => void had.push(hadBytes),
    came: (_bytes: number, isNew: boolean) => void news.push(isNew),
    met: none,
    lastedMs: () => 0,
    tooSlow: () => '',
  };
  const { signal } = new AbortController();
  const wanted = { url, digest: sha256(bytes), partial, ...rest };
  await download(wanted, { web, wait, patienceMs: 10_000, signal });
  expect([news[0], news.at(-1)]).toEqual([false, true]);
  // What came before stays the measure while it comes again.
  expect([had[0], had[1], had.at(-1)]).toEqual([900_000, 900_000, 1_000_000]);
});

const patient = { on: none, came: none, met: none, lastedMs: () => 0, tooSlow: () => '' };

test('another content is refused though the server never gives it in one piece', async () => {
  const dir = makeDir();
  const { certFile, keyFile, caPem } = await writeTlsIdentity(dir);
  const [cert, key] = [readFileSync(certFile, 'utf8'), readFileSync(keyFile, 'utf8')];
  await using server = await startWebServer({ cert, key });
  const bytes = randomBytes(100_000);
  server.serve('/file', { bytes, cutAfter: 60_000 });
  const rules = [{ host: '127.0.0.1', port: server.port }];
  using web = openWeb({ rules, moreCa: caPem, silenceMs: 10_000 });
  const wanted = {
    url: async () => new URL(`https://127.0.0.1:${server.port}/file`),
    digest: sha256(randomBytes(10)),
    partial: join(dir, 'half.part'),
    ...rest,
  };
  const { signal } = new AbortController();
  const fetching = download(wanted, { web, wait: patient, patienceMs: 10_000, signal });
  await expect(fetching).rejects.toMatchObject({
    code: 'FETCH_MISMATCH',
    message: expect.stringContaining(sha256(bytes)),
  });
  expect(server.asked.filter((path) => path === '/file')).toHaveLength(2);
});

test('a server that sends too little is given up, and what came stays for the next try', async () => {
  const dir = makeDir();
  const { certFile, keyFile, caPem } = await writeTlsIdentity(dir);
  const [cert, key] = [readFileSync(certFile, 'utf8'), readFileSync(keyFile, 'utf8')];
  await using server = await startWebServer({ cert, key });
  const bytes = randomBytes(1_000_000);
  server.serve('/file', { bytes });
  using web = openWeb({
    rules: [{ host: '127.0.0.1', port: server.port }],
    moreCa: caPem,
    silenceMs: 10_000,
  });
  const partial = join(dir, 'half.part');
  const url = async () => new URL(`https://127.0.0.1:${server.port}/file`);
  const wanted = { url, digest: sha256(bytes), partial, ...rest };
  let pieces = 0;
  const tooSlow = (): string => {
    pieces += 1;
    return pieces === 2 ? 'has sent too little' : '';
  };
  const { signal } = new AbortController();
  const wait = { ...patient, tooSlow };
  await expect(download(wanted, { web, wait, patienceMs: 10_000, signal })).rejects.toMatchObject({
    code: 'FETCH_FAILED',
    message: `'${(await url()).href}' has sent too little`,
  });
  expect(statSync(partial).size).toBeGreaterThan(0);
});

/** As an account that no mode spares: fetches what is there already. */
const asNobody = `
  const { download } = await import(process.argv[1]);
  process.setegid(65534);
  process.seteuid(65534);
  const [digest, partial] = process.argv.slice(2);
  const none = () => undefined;
  const wait = { on: none, came: none, met: none, lastedMs: () => 0, tooSlow: () => '' };
  const wanted = { url: () => { throw new Error('asked the server') }, digest, partial, checkSize: none };
  const { signal } = new AbortController();
  console.log(await download(wanted, { web: {}, wait, patienceMs: 1_000, signal }));
`;

test('what a gateway was killed with before it went into the cache is not in the way', () => {
  const dir = makeDir();
  const partial = join(dir, 'whole.part');
  const bytes = randomBytes(1_000);
  writeFileSync(partial, bytes);
  chmodSync(partial, 0o444);
  for (const path of [dir, partial]) chownSync(path, 65_534, 65_534);
  const module = join(import.meta.dirname, '../../../site-gateway/fetch/download.ts');
  const args = ['--input-type=module', '-e', asNobody, module, sha256(bytes), partial];
  expect(execFileSync(process.execPath, args, { encoding: 'utf8' })).toBe('0\n');
});
