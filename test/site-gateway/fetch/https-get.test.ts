import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { openWeb } from '../../../site-gateway/fetch/https-get.ts';
import { writeTlsIdentity } from '../../fakes/tls-identity.ts';
import { startWebServer } from '../../fakes/web-server.ts';
import { testDirs } from '../../support/test-dirs.ts';

const makeDir = testDirs('https-get');

test('a request waits for no other of the same host, however many of them the server keeps waiting', async () => {
  const { certFile, keyFile, caPem } = await writeTlsIdentity(makeDir());
  await using server = await startWebServer({
    cert: readFileSync(certFile, 'utf8'),
    key: readFileSync(keyFile, 'utf8'),
  });
  server.serve('/hangs', { hangs: true });
  server.serve('/file', { bytes: Buffer.from('content') });
  const url = (path: string): URL => new URL(`https://127.0.0.1:${server.port}${path}`);
  const rules = [{ host: '127.0.0.1', port: server.port }];
  using web = openWeb({ rules, moreCa: caPem, silenceMs: 60_000 });
  const ends = new AbortController();
  const waiting = Promise.allSettled(
    Array.from({ length: 40 }, () => web.get(url('/hangs'), 0, ends.signal)),
  );
  const { totalBytes, body } = await web.get(url('/file'), 0, ends.signal);
  body.resume();
  expect(totalBytes).toBe(7);
  ends.abort();
  await waiting;
});
