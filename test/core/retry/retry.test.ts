import { expect, test } from 'vitest';
import type { FailureKind } from '../../../core/job/outcome.ts';
import {
  DATA_FAILURE_BUDGET,
  judge,
  judgeRelease,
  NO_FAILURES,
  RELEASE_BUDGET,
  retryDelayMs,
  SITE_FAILURE_BUDGET,
} from '../../../core/retry/retry.ts';

const GIB = 2 ** 30;
const failure = (kind: FailureKind, reason = 'WHY') => ({
  failure: kind,
  reason,
  detail: 'because',
});
const plain = (retries: number) => ({ retries });
const growing = (factor: number, hadGib: number) => ({
  retries: 0,
  memory: { factor, askedBytes: 4 * GIB, hadBytes: hadGib * GIB },
});

test('a limit that the job set is not tried again', () => {
  const verdict = { kind: 'fail', reason: 'WHY' };
  expect(judge(failure('limit'), NO_FAILURES, plain(5))).toMatchObject(verdict);
  expect(judge(failure('limit', 'MEMORY_EXCEEDED'), NO_FAILURES, plain(5))).toMatchObject({
    kind: 'fail',
    reason: 'MEMORY_EXCEEDED',
  });
  expect(judge(failure('limit', 'WALLTIME_EXCEEDED'), NO_FAILURES, growing(2, 4))).toMatchObject({
    kind: 'fail',
  });
});

test('memory grows by its factor up to 8 times what was asked for, without the retries', () => {
  const oom = failure('limit', 'MEMORY_EXCEEDED');
  expect(judge(oom, NO_FAILURES, growing(1.5, 4))).toMatchObject({
    kind: 'retry',
    counts: NO_FAILURES,
    memoryBytes: 6 * GIB,
  });
  expect(judge(oom, NO_FAILURES, growing(3, 12))).toMatchObject({ memoryBytes: 32 * GIB });
  expect(judge(oom, NO_FAILURES, growing(3, 32))).toMatchObject({
    kind: 'fail',
    reason: 'MEMORY_EXCEEDED',
    detail: 'because; 32 GiB is 8 times what the job asked for, and the most',
  });
});

test("the job's own failures use up its retries and may stay at the site", () => {
  const job = failure('job');
  expect(judge(job, NO_FAILURES, plain(0))).toMatchObject({ kind: 'fail', counts: { job: 1 } });
  expect(judge(job, NO_FAILURES, plain(1))).toMatchObject({ kind: 'retry', elsewhere: false });
  expect(judge(job, { ...NO_FAILURES, job: 1 }, plain(1))).toMatchObject({ kind: 'fail' });
});

test('failures of sites go elsewhere, without the retries, and end the task when they go on', () => {
  const before = { ...NO_FAILURES, site: SITE_FAILURE_BUDGET - 1 };
  expect(judge(failure('site'), before, plain(0))).toMatchObject({
    kind: 'retry',
    elsewhere: true,
    counts: { job: 0, site: SITE_FAILURE_BUDGET },
  });
  expect(judge(failure('site'), { ...before, site: 5 }, plain(9))).toMatchObject({
    kind: 'fail',
    reason: 'WHY',
    detail: 'gave up after 6 failures of sites, the last: because',
  });
});

test('failures of data go elsewhere, and hold the task when they go on', () => {
  const before = { ...NO_FAILURES, site: 5, data: DATA_FAILURE_BUDGET - 1 };
  expect(judge(failure('data'), before, plain(0))).toMatchObject({
    kind: 'retry',
    elsewhere: true,
  });
  expect(judge(failure('data'), { ...before, data: 5 }, plain(9))).toMatchObject({
    kind: 'hold',
    reason: 'DATA_UNAVAILABLE',
    detail: 'gave up after 6 failures of data, the last: WHY: because',
  });
});

test('a credential that has ended holds the task at once', () => {
  expect(judge(failure('credential'), NO_FAILURES, plain(9))).toEqual({
    kind: 'hold',
    reason: 'CREDENTIAL_EXPIRED',
    detail: 'because',
    counts: NO_FAILURES,
    elsewhere: false,
    delayMs: 0,
  });
});

test('what an owner or a site takes back costs no other budget, and is not for ever', () => {
  const first = { kind: 'retry', elsewhere: true, counts: { ...NO_FAILURES, releases: 1 } };
  expect(judge(failure('owner'), NO_FAILURES, plain(0))).toMatchObject(first);
  expect(judgeRelease(failure('site'), NO_FAILURES)).toMatchObject(first);
  const before = { ...NO_FAILURES, releases: RELEASE_BUDGET };
  expect(judgeRelease(failure('site'), before)).toMatchObject({
    kind: 'hold',
    reason: 'RELEASED_TOO_OFTEN',
    detail: 'it came back from sites 101 times, the last: WHY: because',
  });
});

test('pauses double up to a minute, and the first is none', () => {
  expect([1, 2, 3, 4, 20, 1_000].map(retryDelayMs)).toEqual([0, 500, 1_000, 2_000, 60_000, 60_000]);
});
