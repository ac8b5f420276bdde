import { defineConfig } from 'vitest/config';

/** For scripts/test-cgroup2.sh, whose machine has nothing but its memory to write to. */
export default defineConfig({
  cacheDir: '/tmp/vite-cache',
  test: {
    root: new URL('../..', import.meta.url).pathname,
    include: ['test/integration/*.test.ts'],
    fileParallelism: false,
    reporters: ['verbose'],
    testTimeout: 120_000,
    hookTimeout: 120_000,
  },
});
