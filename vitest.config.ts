import { availableParallelism, tmpdir } from 'node:os';
import { join } from 'node:path';
import { defineConfig } from 'vitest/config';
import MixedOrder from './test/setup/mixed-order.ts';

/** Unit tests share what they import: a process of its own for each of 250 files is a third of their time. */
const together = { isolate: false };

/** Before any test that needs real services. */
const prepared = { globalSetup: './test/setup/nats-programs.ts' };

/** Services, commands and test files start several hundred times: all find our modules compiled, as `grid` itself does. */
process.env['NODE_COMPILE_CACHE'] ??= join(tmpdir(), 'node-compile-cache');

/** `expect.poll` waits for half of what a test may take: what comes late on a busy machine is not wrong. */
const project = (name: string, include: string[], testTimeout: number, more = {}) => ({
  test: {
    ...more,
    name,
    include,
    testTimeout,
    // Some install what they need first, and wait for others that do.
    hookTimeout: 600_000,
    expect: { poll: { timeout: testTimeout / 2 } },
  },
});

export default defineConfig({
  test: {
    // Most of the tests wait for real services most of the time: four files at once fit on two cores.
    maxWorkers: Math.max(4, availableParallelism() - 1),
    // Node loads our TypeScript by itself, as in production, with no transforms in between.
    experimental: { viteModuleRunner: false, nodeLoader: false },
    sequence: { sequencer: MixedOrder },
    reporters: ['default', './test/setup/count-reporter.ts'],
    projects: [
      project(
        'unit',
        [
          'test/{core,service,broker,site-gateway,cert-authority,cli,property}/**/*.test.ts',
          'test/*.test.ts',
        ],
        120_000,
        together,
      ),
      project('integration', ['test/integration/**/*.test.ts'], 240_000, prepared),
      project('e2e', ['test/e2e/**/*.test.ts'], 300_000, prepared),
    ],
  },
});
