import { taskCountsOf } from '../../core/job/summary.ts';
import { needOf } from '../../core/match/need.ts';
import type { AskQueue, QueueItem } from '../../core/match/snapshot.ts';
import type { Waiting } from '../../core/share/ahead.ts';
import { claimantOf } from '../../core/share/shares.ts';
import { classOf, type JobRecord, type TaskRecord } from '../jobs/records.ts';
import type { AskClass } from './ask-class.ts';

/** What waits for a site, by ask class. Records leave by themselves: what no longer waits is passed over. */
export interface AskQueues {
  /** A job whose tasks have not all come into being, and that waits for no other job. */
  addJob(job: JobRecord): void;
  /** A task that was placed before and waits again. */
  addTask(task: TaskRecord): void;
  /** The queues that hold anything, for a round; to be used up before anything changes. */
  list(): readonly AskQueue[];
  /** What waits, by ask class; `older` of jobs that were submitted before `seq`. */
  census(seq: number): readonly Waiting[];
}

interface Queue extends Omit<AskClass, 'share'> {
  jobs: JobRecord[];
  /** Records of `jobs` before this one are done with. */
  head: number;
  /** Each once: a task that is placed and comes back before anybody looked is still there. */
  tasks: Set<TaskRecord>;
  sorted: boolean;
}

const isFresh = (job: JobRecord): boolean =>
  job.nextOrdinal < job.tasks && job.cancelReason === undefined && job.endedAtMs === undefined;
/** A task may have come to ask for more since it was put here. */
const isWaiting = ({ askId }: Queue, task: TaskRecord): boolean =>
  task.state === 'queued' && classOf(task).askId === askId;

/** Makes empty queues. */
export function openAskQueues(): AskQueues {
  const queues = new Map<number, Queue>();
  const queueOf = ({ askId, ask }: AskClass): Queue => {
    const known = queues.get(askId);
    if (known !== undefined) return known;
    const queue: Queue = { askId, ask, jobs: [], head: 0, tasks: new Set(), sorted: true };
    queues.set(askId, queue);
    return queue;
  };
  const live = (): readonly Queue[] => {
    for (const [id, queue] of queues) if (!tidy(queue)) queues.delete(id);
    return [...queues.values()];
  };
  return {
    addJob: (job) => {
      const queue = queueOf(job);
      if ((queue.jobs.at(-1)?.seq ?? 0) > job.seq) queue.sorted = false;
      queue.jobs.push(job);
    },
    addTask: (task) => {
      const queue = queueOf(classOf(task));
      queue.tasks.add(task);
      queue.sorted = false;
    },
    list: () =>
      live().map((queue) => ({ key: String(queue.askId), ask: queue.ask, items: items(queue) })),
    census: (seq) => live().map((queue) => count(queue, seq)),
  };
}

const byAge = (a: TaskRecord, b: TaskRecord): number =>
  a.job.seq - b.job.seq || a.ordinal - b.ordinal;

/** Forgets what no longer waits at the front, sorts if need be, and says whether anything is left. */
function tidy(queue: Queue): boolean {
  for (const task of queue.tasks) if (!isWaiting(queue, task)) queue.tasks.delete(task);
  if (!queue.sorted) {
    queue.jobs = queue.jobs.slice(queue.head).filter(isFresh);
    queue.head = 0;
    queue.jobs.sort((a, b) => a.seq - b.seq);
    queue.tasks = new Set([...queue.tasks].toSorted(byAge));
    queue.sorted = true;
  }
  let first = queue.jobs[queue.head];
  while (first !== undefined && !isFresh(first)) {
    queue.head += 1;
    first = queue.jobs[queue.head];
  }
  if (queue.head > 1_000 && queue.head * 2 > queue.jobs.length) {
    queue.jobs = queue.jobs.slice(queue.head);
    queue.head = 0;
  }
  return queue.tasks.size > 0 || first !== undefined;
}

/** Tasks that were placed before come first: they have waited longest. */
function* items(queue: Queue): Generator<QueueItem> {
  for (const task of queue.tasks) {
    if (!isWaiting(queue, task)) continue;
    const { job, ordinal, avoid, notBeforeMs } = task;
    const limit = limitOf(job);
    if (limit.left !== 0)
      yield { ...itemOf(job), firstOrdinal: ordinal, tasks: 1, avoid, notBeforeMs, ...limit };
  }
  for (let index = queue.head; index < queue.jobs.length; index += 1) {
    const job = queue.jobs[index];
    if (job === undefined || !isFresh(job) || job.hold !== undefined) continue;
    const limit = limitOf(job);
    const tasks = job.tasks - job.nextOrdinal;
    if (limit.left !== 0)
      yield {
        ...itemOf(job),
        firstOrdinal: job.nextOrdinal,
        tasks,
        avoid: [],
        notBeforeMs: 0,
        ...limit,
      };
  }
}

/** The same as of its items; a million jobs are looked at without making one of each. */
function count(queue: Queue, seq: number): Waiting {
  let [tasks, older] = [0, 0];
  const add = (job: JobRecord, more: number): void => {
    const fit = Math.min(more, limitOf(job).left ?? more);
    tasks += fit;
    if (job.seq < seq) older += fit;
  };
  for (const task of queue.tasks) if (isWaiting(queue, task)) add(task.job, 1);
  for (let index = queue.head; index < queue.jobs.length; index += 1) {
    const job = queue.jobs[index];
    if (job !== undefined && isFresh(job) && job.hold === undefined)
      add(job, job.tasks - job.nextOrdinal);
  }
  return { claimant: claimantOf(queue.ask), need: needOf(queue.ask.resources), tasks, older };
}

const itemOf = ({ id, seq, inputs }: JobRecord): Pick<QueueItem, 'job' | 'seq' | 'inputs'> => ({
  job: id,
  seq,
  inputs,
});

const NO_LIMIT: Pick<QueueItem, 'left'> = {};

/** How many tasks of a job may go to sites besides those that are there. */
function limitOf({ maxRunning, counts }: JobRecord): Pick<QueueItem, 'left'> {
  if (maxRunning === undefined) return NO_LIMIT;
  return { left: Math.max(0, maxRunning - taskCountsOf(counts).active) };
}
