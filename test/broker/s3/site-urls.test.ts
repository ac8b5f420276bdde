import { expect, test } from 'vitest';
import { SIGNED_MS } from '../../../broker/s3/s3-secrets.ts';
import { openSiteUrls } from '../../../broker/s3/site-urls.ts';
import { jobId } from '../../../core/ids.ts';
import { systemClock } from '../../../service/clock.ts';

const JOBS = ['here', 'elsewhere'].map(jobId);

test('a gateway gets the signed addresses of its jobs once, and new ones before they end', async () => {
  let nowMs = 1_000_000;
  const clock = { ...systemClock, nowMs: () => nowMs };
  const sign = (jobs: Iterable<string>) =>
    Promise.resolve(
      [...jobs].map((job) => ({
        ...{ jobId: job, url: 'https://s3.example.org/b/k' },
        ...{ signed: `signed at ${nowMs}`, expiresAtMs: nowMs + SIGNED_MS },
      })),
    );
  const urls = openSiteUrls({ sign, jobs: () => JOBS }, clock);
  const due = async () => (await urls.due((job) => job === JOBS[0])).map(({ signed }) => signed);
  expect(await due()).toEqual(['signed at 1000000']);
  expect(await due()).toEqual([]);
  nowMs += SIGNED_MS / 2;
  expect(await due()).toEqual([]);
  nowMs += SIGNED_MS / 4;
  expect(await due()).toEqual([`signed at ${nowMs}`]);
  expect(await due()).toEqual([]);
});
