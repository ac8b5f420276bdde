import type { BrokerService } from '../../proto/gen/grid/v1/broker.ts';
import type { JobSpec } from '../../proto/gen/grid/v1/common.ts';
import type { RpcClient } from '../../service/rpc/rpc.ts';
import { submitJobs, wireSpec } from '../support/jobs.ts';
import { manyTimes } from './statistics.ts';

const BATCH = 1_000;
const IN_FLIGHT = 4;

/** Submits single jobs of so many ask classes; gives their ids. */
export async function fillQueue(
  broker: RpcClient<BrokerService>,
  wish: { readonly jobs: number; readonly classes: number; readonly spec?: Partial<JobSpec> },
): Promise<readonly string[]> {
  const specs = Array.from({ length: BATCH }, (_, n) => {
    const spec = wireSpec(['true'], wish.spec);
    const memoryBytes = (64 + (n % wish.classes)) * 2 ** 20;
    return { ...spec, resources: { ...spec.resources, memoryBytes } } as JobSpec;
  });
  const ids: string[] = [];
  await manyTimes(IN_FLIGHT, wish.jobs / BATCH, async () => {
    for (const id of await submitJobs(broker, specs)) ids.push(id);
  });
  if (new Set(ids).size !== wish.jobs) throw new Error(`${ids.length} ids for ${wish.jobs} jobs`);
  return ids.toSorted();
}
