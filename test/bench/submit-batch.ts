import { submitJobs, wireSpec } from '../support/jobs.ts';
import { startLocalGrid } from '../support/local-grid.ts';
import type { Measurement } from './figure.ts';
import { manyTimes, rounded } from './statistics.ts';

const BATCH = 100;
const BATCHES = 100;
const IN_FLIGHT = 4;

/** Jobs that no site can take, so that nothing but the submission is measured. */
export async function submitBatch(): Promise<Measurement> {
  await using grid = await startLocalGrid({ sites: 1, cpusPerSite: 1 });
  using connection = await grid.broker();
  const broker = connection.call;
  const specs = Array.from({ length: BATCH }, () => wireSpec(['true'], { sites: ['nowhere'] }));
  await submitJobs(broker, specs);
  const ids = new Set<string>();
  const startedMs = performance.now();
  await manyTimes(IN_FLIGHT, BATCHES, async () => {
    for (const id of await submitJobs(broker, specs)) ids.add(id);
  });
  const seconds = (performance.now() - startedMs) / 1_000;
  if (ids.size !== BATCH * BATCHES) throw new Error(`${ids.size} ids for ${BATCH * BATCHES} jobs`);
  // Durable: a broker that crashes now still knows the last of them.
  await grid.crash('broker');
  await grid.processes.startBroker();
  using again = await grid.broker();
  for (const jobId of [...ids].slice(-BATCH)) {
    await again.call.getJob({ jobId, summaryOnly: true, firstTask: 0, maxTasks: 0 });
  }
  return {
    value: rounded((BATCH * BATCHES) / seconds),
    unit: 'jobs/s',
    context: { batch: BATCH, 'in flight': IN_FLIGHT },
  };
}
