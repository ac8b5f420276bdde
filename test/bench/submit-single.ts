import { submitJobs, wireSpec } from '../support/jobs.ts';
import { startLocalGrid } from '../support/local-grid.ts';
import type { Measurement } from './figure.ts';
import { manyTimes, rounded } from './statistics.ts';

const JOBS = 10_000;
const IN_FLIGHT = 32;

/** A call for each job, which no site can take, so that nothing but the submission is measured. */
export async function submitSingle(): Promise<Measurement> {
  await using grid = await startLocalGrid({ sites: 1, cpusPerSite: 1 });
  const ids = new Set<string>();
  let seconds = 0;
  {
    using connection = await grid.broker();
    const broker = connection.call;
    const spec = wireSpec(['true'], { sites: ['nowhere'] });
    await manyTimes(IN_FLIGHT, 1_000, async () => void (await submitJobs(broker, [spec])));
    const startedMs = performance.now();
    await manyTimes(IN_FLIGHT, JOBS, async () => {
      for (const id of await submitJobs(broker, [spec])) ids.add(id);
    });
    seconds = (performance.now() - startedMs) / 1_000;
  }
  if (ids.size !== JOBS) throw new Error(`${ids.size} ids for ${JOBS} jobs`);
  // Durable: a broker that crashes now still knows the last of them.
  await grid.crash('broker');
  await grid.processes.startBroker();
  using again = await grid.broker();
  for (const jobId of [...ids].slice(-IN_FLIGHT))
    await again.call.getJob({ jobId, summaryOnly: true, firstTask: 0, maxTasks: 0 });
  return { value: rounded(JOBS / seconds), unit: 'jobs/s', context: { 'in flight': IN_FLIGHT } };
}
