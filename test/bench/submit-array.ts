import { submitJobs, wireSpec } from '../support/jobs.ts';
import { startLocalGrid } from '../support/local-grid.ts';
import type { Measurement } from './figure.ts';
import { quantile, rounded } from './statistics.ts';

const TASKS = 1_000_000;
const ROUNDS = 15;

/** An array that a site can take: its first task is placed meanwhile, as it would be. */
export async function submitArray(): Promise<Measurement> {
  await using grid = await startLocalGrid({ sites: 1, cpusPerSite: 1 });
  using connection = await grid.broker();
  const broker = connection.call;
  const array = { first: 1, last: TASKS, step: 1, values: [] };
  const spec = wireSpec(['sleep', '60'], { array });
  const took: number[] = [];
  for (let round = 0; round < ROUNDS; round += 1) {
    const startedMs = performance.now();
    const [jobId = ''] = await submitJobs(broker, [spec]);
    took.push(performance.now() - startedMs);
    const whole = { jobId, summaryOnly: true, firstTask: 0, maxTasks: 0 };
    const { summary } = await broker.getJob(whole);
    if (summary?.tasks !== TASKS) throw new Error(`the job has ${summary?.tasks} tasks`);
  }
  return {
    value: rounded(quantile(took, 0.5)),
    unit: 'ms',
    context: { tasks: TASKS, runs: ROUNDS, slowest: rounded(Math.max(...took)) },
  };
}
