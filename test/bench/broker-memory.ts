import { startLocalGrid } from '../support/local-grid.ts';
import type { Measurement } from './figure.ts';
import { fillQueue } from './fill-queue.ts';
import { residentBytes } from './memory.ts';
import { rounded } from './statistics.ts';

const JOBS = 1_000_000;

/** Of the process that took all of them, and of one that was started on its ledger. */
export async function brokerMemory(): Promise<Measurement> {
  await using grid = await startLocalGrid({ sites: 1, cpusPerSite: 1 });
  {
    using connection = await grid.broker();
    await fillQueue(connection.call, { jobs: JOBS, classes: 1_000, spec: { sites: ['nowhere'] } });
  }
  const took = residentBytes(grid.pid('broker'));
  await grid.crash('broker');
  await grid.processes.startBroker();
  using again = await grid.broker();
  const [last = ''] = await fillQueue(again.call, {
    jobs: 1_000,
    classes: 1_000,
    spec: { sites: ['nowhere'] },
  });
  const { tasksAhead } = await again.call.whyJob({ jobId: last });
  if (tasksAhead !== JOBS) throw new Error(`${tasksAhead} tasks are ahead of the last jobs`);
  const read = residentBytes(grid.pid('broker'));
  return {
    value: rounded(Math.max(took, read) / 1e9),
    unit: 'GB',
    context: {
      jobs: JOBS,
      'after taking them': rounded(took / 1e9),
      'after a restart': rounded(read / 1e9),
    },
  };
}
