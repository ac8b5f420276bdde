import type { BrokerService } from '../../../proto/gen/grid/v1/broker.ts';
import { State } from '../../../proto/gen/grid/v1/common.ts';
import type { RpcClient } from '../../../service/rpc/rpc.ts';
import { submitJobs, wireSpec } from '../../support/jobs.ts';
import { eventually, startLocalGrid } from '../../support/local-grid.ts';
import type { Measurement } from '../figure.ts';
import { residentBytes } from '../memory.ts';
import { rounded } from '../statistics.ts';

const ATTEMPTS = 10_000;
const THERE: readonly State[] = [State.STATE_SUBMITTED, State.STATE_RUNNING];

/** Of a gateway that holds so many attempts, two of which run; before and after a restart. */
export async function gatewayMemory(): Promise<Measurement> {
  const siteSettings = [{ backlog: ATTEMPTS }];
  await using grid = await startLocalGrid({ sites: 1, cpusPerSite: 2, siteSettings });
  using connection = await grid.broker();
  const array = { first: 1, last: ATTEMPTS, step: 1, values: [] };
  const [jobId = ''] = await submitJobs(connection.call, [wireSpec(['sleep', '600'], { array })]);
  const site = grid.plan.sites[0]?.name ?? '';
  const held = (): Promise<true> =>
    eventually(`${ATTEMPTS} attempts at the site`, 120_000, async () =>
      (await tasksAtSite(connection.call, jobId)) === ATTEMPTS ? true : undefined,
    );
  await held();
  const taken = residentBytes(grid.pid(`site-${site}`));
  await grid.crash(`site-${site}`);
  await grid.processes.startSite(site);
  await held();
  const again = residentBytes(grid.pid(`site-${site}`));
  return {
    value: rounded(Math.max(taken, again) / 2 ** 20),
    unit: 'MiB',
    context: {
      attempts: ATTEMPTS,
      'after taking them': rounded(taken / 2 ** 20),
      'after a restart': rounded(again / 2 ** 20),
    },
  };
}

async function tasksAtSite(broker: RpcClient<BrokerService>, jobId: string): Promise<number> {
  const request = { jobId, summaryOnly: false, firstTask: 0, maxTasks: ATTEMPTS };
  const { tasks } = await broker.getJob(request);
  return tasks.filter(({ state }) => THERE.includes(state)).length;
}
