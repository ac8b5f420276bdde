import type { Usage } from '../../core/job/outcome.ts';
import type { JobState } from '../../core/job/state.ts';
import type { TaskCounts } from '../../core/job/summary.ts';
import type { JobEvent, JobSummary, TaskStatus } from '../../proto/gen/grid/v1/broker.ts';
import type { LiveOutputs } from '../../proto/gen/grid/v1/common.ts';
import { outcomeFromWire, stateFromWire, treeFromWire } from '../../service/rpc/wire.ts';

/** A job as the CLI shows it, on the screen and in JSON: the wire's words with states as text. */
export interface JobView {
  readonly id: string;
  readonly name: string;
  readonly state: JobState;
  readonly reason: string;
  readonly detail: string;
  readonly owner: string;
  readonly vo: string;
  readonly submittedAtMs: number;
  /** 0 while it has not ended. */
  readonly endedAtMs: number;
  readonly tasks: number;
  readonly counts: TaskCounts;
  readonly sites: readonly string[];
  /** '' for a job that is in no flow. */
  readonly flowId: string;
  /** Its name in the flow. */
  readonly flowNode: string;
}

/** What nothing is counted in. */
export const NO_COUNTS: TaskCounts = {
  queued: 0,
  active: 0,
  done: 0,
  failed: 0,
  cancelled: 0,
  held: 0,
};

/** The broker always sends a summary; a broker that does not is answered with an empty one. */
export function jobView(summary: JobSummary | undefined): JobView {
  if (summary === undefined) throw new TypeError('the broker sent no summary');
  const { owner, state, counts, ...rest } = summary;
  return {
    ...rest,
    state: stateFromWire(state),
    owner: owner?.dn ?? '',
    vo: owner?.vo ?? '',
    counts: counts ?? NO_COUNTS,
  };
}

/** A task as the CLI shows it. */
export interface TaskView extends Omit<TaskStatus, 'state' | 'outcome' | 'live'> {
  readonly state: JobState;
  readonly exitCode?: number;
  readonly signal?: number;
  readonly usage?: Usage;
  readonly live?: LiveView;
}

/** What there is of the live outputs of a task: `grid get --live` fetches it. */
export interface LiveView {
  readonly attemptId: string;
  readonly site: string;
  /** When the site looked at them. */
  readonly atMs: number;
  readonly files: number;
  readonly totalBytes: number;
  /** Why there is nothing newer; '' where all is well. */
  readonly trouble: string;
}

function liveView({ tree, ...live }: LiveOutputs): LiveView {
  const { files, totalBytes } = treeFromWire(tree);
  return { ...live, files, totalBytes };
}

/** Wire -> view. */
export function taskView(task: TaskStatus): TaskView {
  const { state, outcome, live, ...rest } = task;
  const view = {
    ...rest,
    state: stateFromWire(state),
    ...(live === undefined ? {} : { live: liveView(live) }),
  };
  if (outcome === undefined) return view;
  const { exitCode, signal, usage } = outcomeFromWire(outcome);
  return { ...view, exitCode, signal, usage };
}

/** An event as the CLI shows it; a task of -1 is the whole job. */
export const eventView = (event: JobEvent) => ({ ...event, state: stateFromWire(event.state) });

/** One line of a job's history. */
export type EventView = ReturnType<typeof eventView>;
