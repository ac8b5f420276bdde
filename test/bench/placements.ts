import { pause } from '../../service/background.ts';
import { type LocalGrid, startLocalGrid } from '../support/local-grid.ts';
import type { Measurement } from './figure.ts';
import { fillQueue } from './fill-queue.ts';
import { type SimulatedSites, simulateSites } from './simulated-sites.ts';
import { rounded } from './statistics.ts';

const JOBS = 100_000;
const SITES = 4;

/** From the moment that sites open to the moment that they have all the jobs; then the same with jobs that end at once. */
export async function placements(): Promise<Measurement> {
  await using grid = await startLocalGrid({ sites: SITES, cpusPerSite: 1 });
  await using sites = await simulateSites(grid);
  const held = await timed(grid, sites, 0, false);
  sites.offer({ cpus: 0, finish: true });
  await pause(2_000);
  const ended = await timed(grid, sites, JOBS, true);
  return {
    value: rounded(JOBS / held),
    unit: 'jobs/s',
    context: { jobs: JOBS, sites: SITES, 'per second with their ends': rounded(JOBS / ended) },
  };
}

/** Seconds for JOBS more, after `before`. */
async function timed(
  grid: LocalGrid,
  sites: SimulatedSites,
  before: number,
  finish: boolean,
): Promise<number> {
  using connection = await grid.broker();
  const ids = await fillQueue(connection.call, { jobs: JOBS, classes: 100 });
  const arrived = sites.until(before + JOBS);
  const startedMs = performance.now();
  sites.offer({ cpus: 1_000_000, finish });
  await arrived;
  const atSites = async (): Promise<number> => {
    const { sites: known } = await connection.call.listSites({});
    return known.reduce((sum, { attempts }) => sum + attempts, 0);
  };
  const left = finish ? before : before + JOBS;
  while ((await atSites()) !== left) await pause(10);
  const seconds = (performance.now() - startedMs) / 1_000;
  const distinct = await sites.distinct();
  if (distinct !== before + JOBS) throw new Error(`${distinct} jobs at the sites`);
  const [jobId = ''] = ids.slice(-1);
  const whole = { jobId, summaryOnly: false, firstTask: 0, maxTasks: 1 };
  const { summary, tasks } = await connection.call.getJob(whole);
  const done = finish ? summary?.counts?.done : summary?.counts?.active;
  if (done !== 1 || tasks[0]?.attempts !== 1)
    throw new Error('the last job is not where it should be');
  return seconds;
}
