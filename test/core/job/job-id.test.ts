import fc from 'fast-check';
import { expect, test } from 'vitest';
import { jobId } from '../../../core/ids.ts';
import { attemptIdOf, isJobId, nextJobId, parseAttemptId } from '../../../core/job/job-id.ts';

const NOW = Date.UTC(2026, 5, 1);

test('ids rise, whatever the clock does, and are 12 letters and digits', () => {
  const clock = fc.array(fc.integer({ min: NOW - 5, max: NOW + 5 }), { maxLength: 200 });
  fc.assert(
    fc.property(clock, fc.double({ min: 0, max: 0.999, noNaN: true }), (instants, chance) => {
      const ids: string[] = [];
      for (const nowMs of instants) ids.push(nextJobId(ids.at(-1) ?? '', nowMs, chance));
      expect(ids).toEqual([...new Set(ids)].toSorted());
      expect(ids.every((id) => isJobId(id) && /^j[0-9a-z]{11}$/.test(id))).toBe(true);
    }),
  );
});

test('a hundred thousand ids in one millisecond are different', () => {
  let last = '';
  const ids = new Set<string>();
  for (let n = 0; n < 100_000; n += 1) ids.add((last = nextJobId(last, NOW, 0.99)));
  expect(ids.size).toBe(100_000);
});

test('an attempt id says what it is an attempt of', () => {
  const job = nextJobId('', NOW, 0.5);
  expect(parseAttemptId(attemptIdOf(job, 7, 2))).toEqual({ job, ordinal: 7, number: 2 });
  expect(attemptIdOf(jobId('j1'), 0, 1)).toBe('j1.0.1');
});

test.each(['', 'j1.0.1', 'jzzzzzzzzzzz.0', 'jzzzzzzzzzzz.-1.1', '../jzzzzzzzzzzz.0.1'])(
  "'%s' is no attempt id",
  (text) => expect(parseAttemptId(text)).toBeUndefined(),
);
