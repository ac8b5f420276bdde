import { expect, test } from 'vitest';
import { judge, retryDelayMs, SITE_FAILURE_BUDGET } from '../../../core/retry/retry.ts';

const NONE = { job: 0, site: 0 };
const failure = (kind: 'job' | 'limit' | 'site' | 'data') => ({
  failure: kind,
  reason: 'WHY',
  detail: 'because',
});

test('a limit that the job set is never tried again', () => {
  expect(judge(failure('limit'), NONE, 5)).toMatchObject({ kind: 'fail', reason: 'WHY' });
});

test("the job's own failures use up its retries and may stay at the site", () => {
  expect(judge(failure('job'), NONE, 0)).toMatchObject({ kind: 'fail', counts: { job: 1 } });
  expect(judge(failure('job'), NONE, 1)).toMatchObject({ kind: 'retry', elsewhere: false });
  expect(judge(failure('job'), { job: 1, site: 0 }, 1)).toMatchObject({ kind: 'fail' });
});

test.each(['site', 'data'] as const)(
  'failures of a %s go elsewhere, without the retries',
  (kind) => {
    const before = { job: 0, site: SITE_FAILURE_BUDGET - 1 };
    expect(judge(failure(kind), before, 0)).toMatchObject({
      kind: 'retry',
      elsewhere: true,
      counts: { job: 0, site: SITE_FAILURE_BUDGET },
    });
    expect(judge(failure(kind), { job: 0, site: SITE_FAILURE_BUDGET }, 9)).toMatchObject({
      kind: 'fail',
      reason: 'WHY',
      detail: `gave up after ${SITE_FAILURE_BUDGET + 1} failures of sites or data, the last: because`,
    });
  },
);

test('pauses double up to a minute, and the first is none', () => {
  expect([1, 2, 3, 4, 20, 1_000].map(retryDelayMs)).toEqual([0, 500, 1_000, 2_000, 60_000, 60_000]);
});
