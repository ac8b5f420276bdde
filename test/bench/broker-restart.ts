import { startLocalGrid } from '../support/local-grid.ts';
import type { Measurement } from './figure.ts';
import { fillQueue } from './fill-queue.ts';
import { simulateSites } from './simulated-sites.ts';
import { rounded } from './statistics.ts';

const JOBS = 1_000_000;

/** The broker is killed with a million queued jobs; the clock runs from its start as a process to the first placement. */
export async function brokerRestart(): Promise<Measurement> {
  await using grid = await startLocalGrid({ sites: 1, cpusPerSite: 1 });
  await using sites = await simulateSites(grid);
  {
    using connection = await grid.broker();
    await fillQueue(connection.call, { jobs: JOBS, classes: 1_000 });
  }
  await grid.crash('broker');
  sites.offer({ cpus: 1, finish: false });
  const first = sites.until(1);
  const startedMs = performance.now();
  await grid.processes.startBroker();
  const servesMs = performance.now() - startedMs;
  await first;
  const placedMs = performance.now() - startedMs;
  using again = await grid.broker();
  const [last = ''] = await fillQueue(again.call, { jobs: 1_000, classes: 1_000 });
  const { tasksAhead } = await again.call.whyJob({ jobId: last });
  if (tasksAhead !== JOBS - 1) throw new Error(`${tasksAhead} tasks are ahead of the last jobs`);
  return {
    value: rounded(placedMs / 1_000),
    unit: 's',
    context: { jobs: JOBS, 'until it serves': rounded(servesMs / 1_000) },
  };
}
