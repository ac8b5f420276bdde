import { jobEnd, submitJobs, wireSpec } from '../support/jobs.ts';
import { startLocalGrid } from '../support/local-grid.ts';
import type { Measurement } from './figure.ts';
import { rounded } from './statistics.ts';

const JOBS = 1_000;
const BATCH = 100;

/** Single jobs, not an array: submitted, placed, run by two gateways, staged out and recorded, one by one. */
export async function noopThroughput(): Promise<Measurement> {
  await using grid = await startLocalGrid({ sites: 2, cpusPerSite: 16 });
  using connection = await grid.broker();
  const broker = connection.call;
  const [warm = ''] = await submitJobs(broker, [wireSpec(['true'])]);
  await jobEnd(broker, warm);
  const startedMs = performance.now();
  const ids: string[] = [];
  for (let sent = 0; sent < JOBS; sent += BATCH) {
    const batch = Array.from({ length: BATCH }, () => wireSpec(['true']));
    ids.push(...(await submitJobs(broker, batch)));
  }
  const ends = [];
  for (const id of ids) ends.push(await jobEnd(broker, id));
  const seconds = (performance.now() - startedMs) / 1_000;
  const done = ends.filter(
    (job) => job.summary?.counts?.done === 1 && job.tasks[0]?.attempts === 1,
  );
  if (done.length !== JOBS)
    throw new Error(`${done.length} of ${JOBS} jobs are done at the first try`);
  const sites = new Set(ends.map((job) => job.tasks[0]?.site));
  if (sites.size !== 2) throw new Error(`all jobs ran at ${[...sites].join()}`);
  return { value: rounded(JOBS / seconds), unit: 'jobs/s', context: { jobs: JOBS, sites: 2 } };
}
