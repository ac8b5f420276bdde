import type { TreeRef } from '../../core/data/manifest.ts';
import type { JobSpec } from '../../core/job/spec.ts';
import type {
  BrokerService,
  GetJobResponse,
  ResultsRemoved,
} from '../../proto/gen/grid/v1/broker.ts';
import type { Connection } from '../../service/rpc/grpc-client.ts';
import { specFromWire, treeFromWire } from '../../service/rpc/wire.ts';
import type { Context } from '../context.ts';
import { instantText } from '../render.ts';
import { type JobView, jobView, type TaskView, taskView } from './job-view.ts';

/** A job with its tasks. */
export interface JobDetail {
  readonly job: JobView;
  readonly spec: JobSpec;
  readonly tasks: readonly TaskView[];
  /** What the last attempts left behind, by task. */
  readonly outputs: ReadonlyMap<number, TreeRef>;
  /** What there is of the live outputs of tasks without results. */
  readonly live: ReadonlyMap<number, TreeRef>;
  /** Present where somebody let go of the results. */
  readonly resultsRemoved?: ResultsRemoved;
}

const PAGE = 10_000;

/** A job with all tasks that have come into being. */
export async function readJob(
  context: Context,
  broker: Connection<BrokerService>,
  jobId: string,
): Promise<JobDetail> {
  const tasks: TaskView[] = [];
  const outputs = new Map<number, TreeRef>();
  const live = new Map<number, TreeRef>();
  let firstTask = 0;
  for (;;) {
    const page: GetJobResponse = await broker.call.getJob(
      { jobId, summaryOnly: false, firstTask, maxTasks: PAGE },
      { signal: context.signal },
    );
    for (const task of page.tasks) {
      tasks.push(taskView(task));
      outputs.set(task.ordinal, treeFromWire(task.outcome?.outputs));
      if (task.live !== undefined) live.set(task.ordinal, treeFromWire(task.live.tree));
    }
    if (page.tasks.length < PAGE)
      return {
        job: jobView(page.summary),
        spec: specFromWire(page.spec),
        tasks,
        outputs,
        live,
        ...removalIn(page),
      };
    firstTask = (page.tasks.at(-1)?.ordinal ?? firstTask) + 1;
  }
}

/** Who let go of the results, where somebody has. */
export const removalIn = ({ resultsRemoved }: GetJobResponse): Pick<JobDetail, 'resultsRemoved'> =>
  resultsRemoved === undefined ? {} : { resultsRemoved };

/** Who let go of the results; '' while they are kept. */
export const removedText = ({ resultsRemoved: gone }: Pick<JobDetail, 'resultsRemoved'>): string =>
  gone === undefined ? '' : `removed by ${gone.by} at ${instantText(gone.atMs)}`;
