import { defineConfig } from 'vitest/config';

/** For scripts/test-htcondor.sh: the only tests that need a batch system which Debian 12 does not have. */
export default defineConfig({
  cacheDir: '/tmp/vite-cache',
  test: {
    root: new URL('../..', import.meta.url).pathname,
    include: ['test/htcondor/*.test.ts'],
    fileParallelism: false,
    testTimeout: 120_000,
    hookTimeout: 120_000,
    expect: { poll: { timeout: 60_000 } },
  },
});
