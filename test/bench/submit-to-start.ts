import { mkdtempDisposableSync, readFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { jobEnd, submitJobs, wireSpec } from '../support/jobs.ts';
import { startLocalGrid } from '../support/local-grid.ts';
import type { Measurement } from './figure.ts';
import { quantile, rounded } from './statistics.ts';

const ROUNDS = 50;

/** From the moment that the request leaves to the moment that the program reads the clock. */
export async function submitToStart(): Promise<Measurement> {
  await using grid = await startLocalGrid({ sites: 1, cpusPerSite: 2 });
  using connection = await grid.broker();
  const broker = connection.call;
  using made = mkdtempDisposableSync(join(tmpdir(), 'hanse-bench-'));
  const took: number[] = [];
  for (let round = 0; round < ROUNDS + 3; round += 1) {
    const stamp = join(made.path, String(round));
    const spec = wireSpec(['sh', '-c', `date +%s%N > ${stamp}`]);
    const sentAtMs = performance.timeOrigin + performance.now();
    const [id = ''] = await submitJobs(broker, [spec]);
    const ended = await jobEnd(broker, id);
    if (ended.summary?.counts?.done !== 1) throw new Error(`job ${id} is not done`);
    const startedAtMs = Number(readFileSync(stamp, 'utf8').trim()) / 1e6;
    // The first jobs warm the code up.
    if (round >= 3) took.push(startedAtMs - sentAtMs);
  }
  return {
    value: rounded(quantile(took, 0.5)),
    unit: 'ms',
    context: { jobs: took.length, p95: rounded(quantile(took, 0.95)) },
  };
}
