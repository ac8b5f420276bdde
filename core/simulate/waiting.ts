import type { JobId, SiteId } from '../ids.ts';
import type { Ask } from '../match/ask.ts';
import type { AskQueue, QueueItem } from '../match/snapshot.ts';
import { type FailureCounts, NO_FAILURES } from '../retry/retry.ts';
import type { SimJob } from './world.ts';

/** A task that waits, or has come into being and may wait again. */
export interface WaitingTask {
  readonly job: SimJob;
  /** What is matched: the job's own ask, or as the policy changes it. */
  readonly ask: Ask;
  readonly ordinal: number;
  /** How often it was tried before. */
  tries: number;
  counts: FailureCounts;
  avoid: readonly SiteId[];
  notBeforeMs: number;
}

/** What waits for a site, by ask class. */
export interface Waiting {
  /** Tasks that wait. */
  readonly size: number;
  submit(job: SimJob): void;
  /** A task that was placed before. */
  again(task: WaitingTask): void;
  /** The task is placed and waits no longer. */
  take(job: JobId, ordinal: number): WaitingTask;
  /** The queues that hold anything; to be used up before anything changes. */
  list(): readonly AskQueue[];
}

/** A job whose tasks have not all come into being. */
interface FreshJob {
  readonly job: SimJob;
  next: number;
}

interface Lane extends AskQueue {
  jobs: FreshJob[];
  /** Jobs before this one are done with. */
  head: number;
  /** Oldest first. */
  readonly tasks: WaitingTask[];
}

const COMPACT_AFTER = 1_000;

/** Empty queues; `askFor` makes of a job's ask what the policy makes of it, the same for the same. */
export function openWaiting(askFor: (ask: Ask) => Ask): Waiting {
  const lanes = new Map<Ask, Lane>();
  const live = new Set<Lane>();
  const open = new Map<JobId, FreshJob>();
  let size = 0;
  const laneOf = ({ ask }: SimJob): Lane => {
    const known = lanes.get(ask);
    const lane = known ?? openLane(String(lanes.size), askFor(ask));
    if (known === undefined) lanes.set(ask, lane);
    live.add(lane);
    return lane;
  };
  return {
    get size() {
      return size;
    },
    submit: (job) => {
      const fresh = { job, next: 0 };
      laneOf(job).jobs.push(fresh);
      open.set(job.id, fresh);
      size += job.runtimesMs.length;
    },
    again: (task) => {
      const { tasks } = laneOf(task.job);
      const after = tasks.findIndex((other) => isOlder(task, other));
      tasks.splice(after === -1 ? tasks.length : after, 0, task);
      open.set(task.job.id, open.get(task.job.id) ?? { job: task.job, next: Infinity });
      size += 1;
    },
    take: (id, ordinal) => {
      const fresh = open.get(id);
      if (fresh === undefined) throw new TypeError(`job ${id} does not wait`);
      const lane = laneOf(fresh.job);
      const task = takeFrom(lane, fresh, ordinal);
      size -= 1;
      if (isSpent(fresh, lane)) open.delete(id);
      if (lane.tasks.length === 0 && lane.head >= lane.jobs.length) live.delete(lane);
      return task;
    },
    list: () => [...live],
  };
}

const isOlder = (a: WaitingTask, b: WaitingTask): boolean =>
  a.job.seq < b.job.seq || (a.job.seq === b.job.seq && a.ordinal < b.ordinal);

function openLane(key: string, ask: Ask): Lane {
  const lane: Lane = {
    key,
    ask,
    jobs: [],
    head: 0,
    tasks: [],
    items: { [Symbol.iterator]: () => itemsOf(lane) },
  };
  return lane;
}

/** Tasks that were placed before come first: they have waited longest. */
function* itemsOf({ tasks, jobs, head }: Lane): Generator<QueueItem> {
  for (const { job, ordinal, avoid, notBeforeMs } of tasks)
    yield itemOf(job, { firstOrdinal: ordinal, tasks: 1, avoid, notBeforeMs });
  for (let index = head; index < jobs.length; index += 1) {
    const fresh = jobs[index];
    if (fresh === undefined) return;
    const { job, next } = fresh;
    const left = job.runtimesMs.length - next;
    if (left > 0) yield itemOf(job, { firstOrdinal: next, tasks: left, avoid: [], notBeforeMs: 0 });
  }
}

const itemOf = (
  { id, seq }: SimJob,
  rest: Omit<QueueItem, 'job' | 'seq' | 'inputs'>,
): QueueItem => ({ job: id, seq, inputs: '', ...rest });

function takeFrom(lane: Lane, fresh: FreshJob, ordinal: number): WaitingTask {
  const { job } = fresh;
  const index = lane.tasks.findIndex((task) => task.job === job && task.ordinal === ordinal);
  const again = index === -1 ? undefined : lane.tasks.splice(index, 1)[0];
  if (again !== undefined) return again;
  if (ordinal !== fresh.next) throw new TypeError(`task ${job.id}.${ordinal} is not next`);
  fresh.next += 1;
  while ((lane.jobs[lane.head]?.next ?? -1) >= (lane.jobs[lane.head]?.job.runtimesMs.length ?? 0))
    lane.head += 1;
  if (lane.head > COMPACT_AFTER && lane.head * 2 > lane.jobs.length) {
    lane.jobs = lane.jobs.slice(lane.head);
    lane.head = 0;
  }
  return {
    job,
    ask: lane.ask,
    ordinal,
    tries: 0,
    counts: NO_FAILURES,
    avoid: [],
    notBeforeMs: 0,
  };
}

const isSpent = ({ job, next }: FreshJob, { tasks }: Lane): boolean =>
  next >= job.runtimesMs.length && !tasks.some((task) => task.job === job);
