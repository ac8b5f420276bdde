import { join } from 'node:path';
import { pause } from '../../../service/background.ts';
import { jobEnd, submitJobs, wireSpec } from '../../support/jobs.ts';
import type { Measurement } from '../figure.ts';
import { mean, rounded } from '../statistics.ts';
import { sbatchToStart, stampedMs } from './by-hand.ts';
import { startSlurmGrid } from './slurm-grid.ts';

const RUNS = 16;
/** Each job shall meet Slurm at rest. */
const REST_MS = 2_000;
/** Slurm schedules in rounds of a second here, and jobs that come at one moment of it all wait equally long, or hardly at all. */
const ROUND_MS = 1_000;

/**
 * Submitted to started on an idle cluster, less what Slurm takes for a job of its own; in turns, on one cluster. Jobs of both
 * kinds come at moments that are spread evenly over Slurm's round, so that their means differ by what the grid adds.
 */
export async function slurmLatency(): Promise<Measurement> {
  await using world = await startSlurmGrid({ nodes: 1, cpus: 2, memoryMb: 1_000 }, 2);
  using connection = await world.grid.broker();
  const [ours, byHand]: [number[], number[]] = [[], []];
  for (let run = 0; run < RUNS; run += 1) {
    const restMs = REST_MS + (ROUND_MS * run) / RUNS;
    await pause(restMs);
    byHand.push(await sbatchToStart(world.cluster, `stamp-${run}`));
    await world.cluster.untilIdle();
    await pause(restMs);
    const stamp = join(world.cluster.dir, `grid-stamp-${run}`);
    const script = `date +%s%N >${stamp}.new; mv ${stamp}.new ${stamp}`;
    const sentAtMs = performance.timeOrigin + performance.now();
    const [id = ''] = await submitJobs(connection.call, [wireSpec(['sh', '-c', script])]);
    ours.push((await stampedMs(stamp)) - sentAtMs);
    const { summary } = await jobEnd(connection.call, id);
    if (summary?.counts?.done !== 1) throw new Error(`job ${id} is not done`);
    await world.cluster.untilIdle();
  }
  const [through, bare] = [mean(ours), mean(byHand)];
  return {
    value: rounded(through - bare),
    unit: 'ms',
    context: {
      runs: RUNS,
      'through the grid': rounded(through),
      'shortest and longest': spread(ours),
      'by hand': rounded(bare),
      'its shortest and longest': spread(byHand),
    },
  };
}

const spread = (times: readonly number[]): string =>
  `${rounded(Math.min(...times))} to ${rounded(Math.max(...times))}`;
