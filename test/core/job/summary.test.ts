import { expect, test } from 'vitest';
import { JOB_STATES } from '../../../core/job/state.ts';
import { hasEnded, jobStateOf, taskCountsOf } from '../../../core/job/summary.ts';

test('a job with one task has the state of its task', () => {
  for (const state of JOB_STATES) expect(jobStateOf({ [state]: 1 })).toBe(state);
});

test.each([
  [{ queued: 5, running: 1, matched: 3, done: 2 }, 'running'],
  [{ matched: 1, 'staging-out': 1, failed: 9 }, 'staging-out'],
  [{ queued: 1, held: 1, done: 7, failed: 1 }, 'queued'],
  [{ held: 1, failed: 1 }, 'held'],
  [{ done: 9, failed: 1, cancelled: 1 }, 'failed'],
  [{ done: 9, cancelled: 1 }, 'cancelled'],
  [{ done: 9 }, 'done'],
] as const)('tasks %o make a job that is %s', (counts, state) => {
  expect(jobStateOf(counts)).toBe(state);
});

test('a job has ended when no task is left', () => {
  expect(hasEnded({ done: 1, failed: 2, cancelled: 3, queued: 0 })).toBe(true);
  expect(hasEnded({ done: 1, held: 1 })).toBe(false);
  expect(hasEnded({ queued: 1 })).toBe(false);
});

test('what is at sites counts as active', () => {
  const counts = { queued: 1, matched: 2, running: 3, suspended: 4, done: 5, held: 6 };
  expect(taskCountsOf(counts)).toEqual({
    queued: 1,
    active: 9,
    done: 5,
    failed: 0,
    cancelled: 0,
    held: 6,
  });
});
