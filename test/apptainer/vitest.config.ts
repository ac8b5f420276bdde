import { defineConfig } from 'vitest/config';

/** For scripts/test-apptainer.sh: the only tests that need Apptainer, which Debian 12 does not have. */
export default defineConfig({
  cacheDir: '/tmp/vite-cache',
  test: {
    root: new URL('../..', import.meta.url).pathname,
    include: ['test/apptainer/*.test.ts'],
    testTimeout: 120_000,
    hookTimeout: 120_000,
    expect: { poll: { timeout: 60_000 } },
  },
});
