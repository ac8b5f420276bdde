import { submitJobs, wireSpec } from '../support/jobs.ts';
import { startLocalGrid } from '../support/local-grid.ts';
import type { Measurement } from './figure.ts';
import { quantile, rounded } from './statistics.ts';

const ROUNDS = 15;

/** A process of its own each time, with TLS, the proxy, and a listing of 20 jobs. */
export async function cliStartup(): Promise<Measurement> {
  await using grid = await startLocalGrid({ sites: 1 });
  using connection = await grid.broker();
  const ids = await submitJobs(
    connection.call,
    Array.from({ length: 20 }, () => wireSpec(['true'])),
  );
  const took: number[] = [];
  for (let round = 0; round < ROUNDS + 2; round += 1) {
    const startedMs = performance.now();
    const { code, stdout } = await grid.grid(['ls']);
    const tookMs = performance.now() - startedMs;
    if (code !== 0 || !ids.every((id) => stdout.includes(id)))
      throw new Error('grid ls lacks jobs');
    if (round >= 2) took.push(tookMs);
  }
  return {
    value: rounded(quantile(took, 0.5)),
    unit: 'ms',
    context: { runs: ROUNDS, p95: rounded(quantile(took, 0.95)) },
  };
}
