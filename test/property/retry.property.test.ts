import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { FailureKind } from '../../core/job/outcome.ts';
import {
  type Failure,
  type FailureCounts,
  judge,
  NO_FAILURES,
  type RetryVerdict,
} from '../../core/retry/retry.ts';

const KINDS = ['job', 'limit', 'site', 'data', 'credential', 'owner'] as const;
const failures = fc.record({
  failure: fc.constantFrom<FailureKind>(...KINDS),
  reason: fc.constantFrom('MEMORY_EXCEEDED', 'WALLTIME_EXCEEDED', 'OTHER'),
  detail: fc.constant('because'),
});
const policies = fc.record({
  retries: fc.nat({ max: 100 }),
  factor: fc.option(fc.double({ min: 1.1, max: 8, noNaN: true })),
  askedBytes: fc.integer({ min: 0, max: 2 ** 50 }),
});
type Policy = typeof policies extends fc.Arbitrary<infer T> ? T : never;

/** Every verdict of one task that meets these failures one after another until it is tried no more. */
function live(sequence: Iterable<Failure>, { retries, factor, askedBytes }: Policy) {
  const verdicts: RetryVerdict[] = [];
  let counts: FailureCounts = NO_FAILURES;
  let hadBytes = askedBytes;
  for (const failure of sequence) {
    const memory = factor === null ? {} : { memory: { factor, askedBytes, hadBytes } };
    const verdict = judge(failure, counts, { retries, ...memory });
    verdicts.push(verdict);
    if (verdict.kind !== 'retry') break;
    counts = verdict.counts;
    hadBytes = verdict.memoryBytes ?? hadBytes;
  }
  return { verdicts, hadBytes };
}

function* cycle<T>(items: readonly T[]): Generator<T> {
  for (;;) yield* items;
}

test('whatever goes wrong, and in whatever order, a task is tried a bounded number of times', () => {
  fc.assert(
    fc.property(fc.array(failures, { minLength: 1, maxLength: 20 }), policies, (some, policy) => {
      const { verdicts, hadBytes } = live(cycle(some), policy);
      // 5 failures of sites, 5 of data, 100 releases, 22 growths of memory by a tenth, and the end.
      expect(verdicts.length).toBeLessThanOrEqual(policy.retries + 5 + 5 + 100 + 23 + 1);
      expect(verdicts.at(-1)?.kind).not.toBe('retry');
      expect(hadBytes).toBeLessThanOrEqual(8 * policy.askedBytes);
      expect(verdicts.every(({ delayMs }) => delayMs <= 60_000)).toBe(true);
    }),
  );
});
