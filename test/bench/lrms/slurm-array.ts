import { jobEnd, submitJobs, wireSpec } from '../../support/jobs.ts';
import type { Measurement } from '../figure.ts';
import { quantile, rounded } from '../statistics.ts';
import { sbatchAndWait } from './by-hand.ts';
import { startSlurmGrid } from './slurm-grid.ts';

const TASKS = 1_000;
const RUNS = 3;

/** An array of no-op tasks through the grid, over the same array by hand; in turns, on one cluster. */
export async function slurmArray(): Promise<Measurement> {
  await using world = await startSlurmGrid({ nodes: 2, cpus: 8, memoryMb: 4_000 }, TASKS);
  using connection = await world.grid.broker();
  const [ours, byHand]: [number[], number[]] = [[], []];
  for (let run = 0; run < RUNS; run += 1) {
    byHand.push(await sbatchAndWait(world.cluster, [`--array=1-${TASKS}`]));
    const startedMs = performance.now();
    const array = { first: 1, last: TASKS, step: 1, values: [] };
    const [id = ''] = await submitJobs(connection.call, [wireSpec(['true'], { array })]);
    const { summary } = await jobEnd(connection.call, id, 300_000);
    ours.push(performance.now() - startedMs);
    if (summary?.counts?.done !== TASKS) throw new Error(`job ${id} is not done`);
  }
  const [through, bare] = [quantile(ours, 0.5), quantile(byHand, 0.5)];
  const submissions = world.commands().filter((command) => command === 'sbatch').length;
  return {
    value: rounded(through / bare),
    unit: 'x',
    context: {
      tasks: TASKS,
      runs: RUNS,
      's through the grid': rounded(through / 1_000),
      's by hand': rounded(bare / 1_000),
      'submissions a run': rounded(submissions / RUNS),
    },
  };
}
