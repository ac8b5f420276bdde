import { join } from 'node:path';
import { pause } from '../../../service/background.ts';
import { jobEnd, submitJobs, wireSpec } from '../../support/jobs.ts';
import type { Measurement } from '../figure.ts';
import { quantile, rounded } from '../statistics.ts';
import { sbatchToStart, stampedMs } from './by-hand.ts';
import { startSlurmGrid } from './slurm-grid.ts';

const RUNS = 15;
/** Slurm schedules at most once in a second here: each job shall meet it at rest. */
const REST_MS = 2_000;

/** Submitted to started on an idle cluster, less what Slurm takes for a job of its own; in turns, on one cluster. */
export async function slurmLatency(): Promise<Measurement> {
  await using world = await startSlurmGrid({ nodes: 1, cpus: 2, memoryMb: 1_000 }, 2);
  using connection = await world.grid.broker();
  const [ours, byHand]: [number[], number[]] = [[], []];
  for (let run = 0; run < RUNS; run += 1) {
    await pause(REST_MS);
    byHand.push(await sbatchToStart(world.cluster, `stamp-${run}`));
    await world.cluster.untilIdle();
    await pause(REST_MS);
    const stamp = join(world.cluster.dir, `grid-stamp-${run}`);
    const script = `date +%s%N >${stamp}.new; mv ${stamp}.new ${stamp}`;
    const sentAtMs = performance.timeOrigin + performance.now();
    const [id = ''] = await submitJobs(connection.call, [wireSpec(['sh', '-c', script])]);
    ours.push((await stampedMs(stamp)) - sentAtMs);
    const { summary } = await jobEnd(connection.call, id);
    if (summary?.counts?.done !== 1) throw new Error(`job ${id} is not done`);
    await world.cluster.untilIdle();
  }
  const [through, bare] = [quantile(ours, 0.5), quantile(byHand, 0.5)];
  return {
    value: rounded(through - bare),
    unit: 'ms',
    context: { runs: RUNS, 'through the grid': rounded(through), 'by hand': rounded(bare) },
  };
}
