import { Sandbox } from '../../../proto/gen/grid/v1/common.ts';
import { jobEnd, submitJobs, wireSpec } from '../../support/jobs.ts';
import { startLocalGrid } from '../../support/local-grid.ts';
import type { Measurement } from '../figure.ts';
import { quantile, rounded } from '../statistics.ts';

const RUNS = 40;

/** Submitted to started in the strongest class, less the same in none; in turns, medians. */
export async function sandboxCost(): Promise<Measurement> {
  const siteSettings = [{ sandbox: 'account' }, { sandbox: 'auto' }];
  await using grid = await startLocalGrid({ sites: 2, cpusPerSite: 1, siteSettings });
  using connection = await grid.broker();
  const [bare = '', boxed = ''] = grid.plan.sites.map(({ name }) => name);
  const took = async (site: string, sandbox: Sandbox): Promise<number> => {
    const sentAtMs = performance.timeOrigin + performance.now();
    const spec = wireSpec(['date', '+%s%N'], { sites: [site], sandbox });
    const [id = ''] = await submitJobs(connection.call, [spec]);
    const { summary } = await jobEnd(connection.call, id);
    if (summary?.counts?.done !== 1) throw new Error(`job ${id} is not done at ${site}`);
    const { stdout } = await grid.grid(['logs', id]);
    return Number(stdout.trim()) / 1e6 - sentAtMs;
  };
  const [plain, strong]: [number[], number[]] = [[], []];
  for (let run = -3; run < RUNS; run += 1) {
    const one = await took(bare, Sandbox.SANDBOX_ACCOUNT);
    const other = await took(boxed, Sandbox.SANDBOX_CGROUP);
    // The first jobs warm the code up.
    if (run < 0) continue;
    plain.push(one);
    strong.push(other);
  }
  const [without, within] = [quantile(plain, 0.5), quantile(strong, 0.5)];
  return {
    value: rounded(within - without),
    unit: 'ms',
    context: { runs: RUNS, account: rounded(without), cgroup: rounded(within) },
  };
}
