import { randomUUID } from 'node:crypto';
import { isFinal } from '../../core/job/state.ts';
import type { BrokerService, GetJobResponse, NewJob } from '../../proto/gen/grid/v1/broker.ts';
import type { JobSpec, Resources } from '../../proto/gen/grid/v1/common.ts';
import { Network, OnLost, Sandbox } from '../../proto/gen/grid/v1/common.ts';
import type { RpcClient } from '../../service/rpc/rpc.ts';
import { stateFromWire } from '../../service/rpc/wire.ts';
import { eventually } from './local-grid.ts';

/** What a small task needs. */
export const SMALL: Resources = {
  cpus: 1,
  memoryBytes: 64 * 2 ** 20,
  gpus: 0,
  nodes: 1,
  walltimeMs: 300_000,
  diskBytes: 0,
  gpuModel: '',
  licences: {},
};

/** A small spec for the VO `demo`, as it goes over the wire. */
export function wireSpec(command: readonly string[], changes: Partial<JobSpec> = {}): JobSpec {
  return {
    name: 'test',
    command: [...command],
    env: {},
    inputs: [],
    copyInputs: false,
    outputs: [],
    resources: SMALL,
    requirements: '',
    rank: '',
    array: undefined,
    after: [],
    retries: 0,
    retryMemory: 0,
    maxRunning: 0,
    group: '',
    vo: 'demo',
    sites: [],
    excludeSites: [],
    stdin: '',
    onLost: OnLost.ON_LOST_RELEASE,
    sandbox: Sandbox.SANDBOX_UNSPECIFIED,
    network: Network.NETWORK_UNSPECIFIED,
    modules: [],
    liveOutputs: [],
    image: '',
    ...changes,
  };
}

const newJob = (spec: JobSpec): NewJob => ({ spec, inputs: undefined, node: '' });

/** Submits jobs in one batch under a key of their own; gives their ids. */
export async function submitJobs(
  broker: RpcClient<BrokerService>,
  specs: readonly JobSpec[],
): Promise<readonly string[]> {
  const { jobIds } = await broker.submit({
    submitKey: randomUUID(),
    jobs: specs.map(newJob),
    flow: undefined,
    s3: [],
  });
  return jobIds;
}

/** Waits until a job has ended; calls that fail meanwhile (a broker that restarts) are made again. */
export async function jobEnd(
  broker: RpcClient<BrokerService>,
  jobId: string,
  timeoutMs = 100_000,
): Promise<GetJobResponse> {
  let last: GetJobResponse | undefined;
  try {
    return await eventually(`end of job ${jobId}`, timeoutMs, async () => {
      const request = { jobId, summaryOnly: false, firstTask: 0, maxTasks: 0 };
      last = await broker.getJob(request, { deadlineMs: 5_000 }).catch(() => undefined);
      if (last?.summary === undefined) return undefined;
      return isFinal(stateFromWire(last.summary.state)) ? last : undefined;
    });
  } catch (cause) {
    throw new Error(`${String(cause)}; ${whereItIs(last)}`, { cause });
  }
}

/** Its counts, and a few of its tasks that have not ended. */
function whereItIs(job: GetJobResponse | undefined): string {
  if (job === undefined) return 'the broker did not answer';
  const open = job.tasks.filter(({ state }) => !isFinal(stateFromWire(state)));
  return JSON.stringify([job.summary?.counts, ...open.slice(0, 3)]);
}
