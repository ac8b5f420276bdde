import { isFinal, JOB_STATES } from '../../core/job/state.ts';
import type { BrokerService } from '../../proto/gen/grid/v1/broker.ts';
import type { RpcClient } from '../../service/rpc/rpc.ts';
import { stateToWire } from '../../service/rpc/wire.ts';
import { jobEnd, submitJobs, wireSpec } from '../support/jobs.ts';
import { eventually, startLocalGrid } from '../support/local-grid.ts';
import type { Measurement } from './figure.ts';
import { rounded } from './statistics.ts';

const JOBS = 1_000;
const BATCH = 100;

/**
 * Single jobs, not an array: submitted, placed, run by two gateways, staged out and recorded, one by one. The clock stops
 * when the client has been told that none of them is open any more.
 */
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
  await noneOpen(broker);
  const seconds = (performance.now() - startedMs) / 1_000;
  const ends = [];
  for (const id of ids) ends.push(await jobEnd(broker, id));
  const done = ends.filter(
    (job) => job.summary?.counts?.done === 1 && job.tasks[0]?.attempts === 1,
  );
  if (done.length !== JOBS)
    throw new Error(`${done.length} of ${JOBS} jobs are done at the first try`);
  const sites = new Set(ends.map((job) => job.tasks[0]?.site));
  if (sites.size !== 2) throw new Error(`all jobs ran at ${[...sites].join()}`);
  return { value: rounded(JOBS / seconds), unit: 'jobs/s', context: { jobs: JOBS, sites: 2 } };
}

/** Asks for jobs that have not ended, as `grid ls` does, until there is none. */
async function noneOpen(broker: RpcClient<BrokerService>): Promise<void> {
  const states = JOB_STATES.filter((state) => !isFinal(state)).map(stateToWire);
  const wish = { states, name: '', everyone: false, limit: 1, pageToken: '' };
  await eventually('no open job', 60_000, async () => {
    const { jobs } = await broker.listJobs(wish);
    return jobs.length === 0 ? true : undefined;
  });
}
