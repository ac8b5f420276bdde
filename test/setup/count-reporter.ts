import type { Reporter, TestCase } from 'vitest/node';

/** Ends the run with the line `N passed, N failed[, N skipped]`, which `.ci/run` shows last. */
export default class CountReporter implements Reporter {
  private readonly count = { passed: 0, failed: 0, skipped: 0, pending: 0 };

  onTestCaseResult(test: TestCase): void {
    this.count[test.result().state] += 1;
  }

  onTestRunEnd(_modules: unknown, errors: readonly unknown[]): void {
    const { passed, failed, skipped } = this.count;
    const skips = skipped > 0 ? `, ${skipped} skipped` : '';
    process.stdout.write(`\n${passed} passed, ${failed + errors.length} failed${skips}\n`);
  }
}
