import { expect, test } from 'vitest';
import { systemClock } from '../../../service/clock.ts';
import { openSignedUrls } from '../../../site-gateway/fetch/signed-urls.ts';

const URL_OF_S3 = 'https://s3.example.org/bucket/key';
const HOLDS_MS = 60_000;
const signedOf = (jobId: string, signature: string) => ({
  jobId,
  url: URL_OF_S3,
  signed: `${URL_OF_S3}?X-Amz-Signature=${signature}`,
  expiresAtMs: systemClock.nowMs() + HOLDS_MS,
});
const { signal } = new AbortController();

test('a signed address is for its job, as long as it holds, and the newest is used', async () => {
  let laterMs = 0;
  const clock = { ...systemClock, nowMs: () => systemClock.nowMs() + laterMs };
  const urls = openSignedUrls(clock, 50);
  urls.add([signedOf('one', 'old')]);
  urls.add([signedOf('one', 'new')]);
  expect((await urls.get('one', URL_OF_S3, signal)).search).toBe('?X-Amz-Signature=new');
  const failed = { code: 'FETCH_FAILED', message: expect.stringContaining('no signature') };
  await expect(urls.get('other', URL_OF_S3, signal)).rejects.toMatchObject(failed);
  laterMs = HOLDS_MS + 1_000;
  await expect(urls.get('one', URL_OF_S3, signal)).rejects.toMatchObject(failed);
});

test('who waits for a signed address gets it when the broker sends it', async () => {
  const urls = openSignedUrls(systemClock, 10_000);
  const waiting = urls.get('one', URL_OF_S3, signal);
  urls.add([signedOf('one', 'sent')]);
  expect((await waiting).search).toBe('?X-Amz-Signature=sent');
});

test('the addresses of jobs that have ended are forgotten', async () => {
  const urls = openSignedUrls(systemClock, 50);
  urls.add([signedOf('open', 'open'), signedOf('ended', 'ended')]);
  urls.keepOnly(new Set(['open']));
  expect((await urls.get('open', URL_OF_S3, signal)).search).toBe('?X-Amz-Signature=open');
  await expect(urls.get('ended', URL_OF_S3, signal)).rejects.toMatchObject({
    code: 'FETCH_FAILED',
  });
});
