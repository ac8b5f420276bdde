import { submitJobs, wireSpec } from '../support/jobs.ts';
import { startLocalGrid } from '../support/local-grid.ts';
import type { Measurement } from './figure.ts';
import { quantile, rounded } from './statistics.ts';

const JOBS = 100_000;
const BATCH = 1_000;
const ROUNDS = 5;

/** The broker is killed with 100,000 queued jobs; the clock runs from its start as a process to its ready line. */
export async function brokerRecovery(): Promise<Measurement> {
  await using grid = await startLocalGrid({ sites: 1, cpusPerSite: 1 });
  const specs = Array.from({ length: BATCH }, () => wireSpec(['true'], { sites: ['nowhere'] }));
  {
    using connection = await grid.broker();
    for (let sent = 0; sent < JOBS; sent += BATCH) await submitJobs(connection.call, specs);
  }
  const took: number[] = [];
  for (let round = 0; round < ROUNDS; round += 1) {
    await grid.crash('broker');
    const startedMs = performance.now();
    await grid.processes.startBroker();
    took.push(performance.now() - startedMs);
  }
  using connection = await grid.broker();
  const why = await lastJobWaits(connection.call);
  if (why < JOBS - 1) throw new Error(`only ${why} tasks are ahead of the last job`);
  return {
    value: rounded(quantile(took, 0.5)),
    unit: 'ms',
    context: { jobs: JOBS, runs: ROUNDS, slowest: rounded(Math.max(...took)) },
  };
}

type Broker = Awaited<ReturnType<Awaited<ReturnType<typeof startLocalGrid>>['broker']>>['call'];

async function lastJobWaits(broker: Broker): Promise<number> {
  const [id = ''] = await submitJobs(broker, [wireSpec(['true'], { sites: ['nowhere'] })]);
  return (await broker.whyJob({ jobId: id })).tasksAhead;
}
