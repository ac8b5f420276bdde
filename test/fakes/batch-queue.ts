import { spawn } from 'node:child_process';
import type {
  BatchJob,
  BatchOrder,
  BatchSystem,
  SubmitAnswer,
} from '../../site-gateway/lrms/batch/batch-system.ts';
import { until } from '../support/daemons.ts';
import { SOON } from '../support/lrms-port.ts';

const CAPACITY = {
  cpus: 2,
  memoryBytes: 2 ** 30,
  gpus: 0,
  usableCpus: 2,
  usableMemoryBytes: 2 ** 30,
  usableGpus: 0,
  maxNodes: 1,
  maxWalltimeMs: 0,
  queues: [],
};

/** A batch system that is all queue: what becomes of its jobs is the test's choice. */
export interface BatchQueue {
  readonly system: BatchSystem;
  readonly jobs: Map<string, BatchJob>;
  readonly orders: BatchOrder[];
  /** Jobs that were to end. */
  readonly signalled: string[];
  /** Comes back when two looks at it have begun and been compared since. */
  lookedAt(): Promise<void>;
}

/** `answer` says what it answers to an order, and puts into `jobs` what it takes. */
export function openQueue(
  answer: (order: BatchOrder, queue: BatchQueue) => Promise<SubmitAnswer>,
): BatchQueue {
  const jobs = new Map<string, BatchJob>();
  const orders: BatchOrder[] = [];
  const signalled: string[] = [];
  let looks = 0;
  const system: BatchSystem = {
    name: 'the queue',
    maxTasks: () => 1_000,
    submit: async (order) => {
      orders.push(order);
      return answer(order, queue);
    },
    poll: async () => {
      looks += 1;
      return { jobs: new Map(jobs), capacity: CAPACITY, closedReason: '' };
    },
    autopsy: async () => new Map(),
    signal: async (ids) => {
      signalled.push(...ids);
      for (const [key, { id }] of jobs) if (ids.includes(id)) jobs.delete(key);
    },
  };
  const queue: BatchQueue = {
    system,
    jobs,
    orders,
    signalled,
    lookedAt: () => {
      const enough = looks + 3;
      return until('it is looked at', async () => looks >= enough, SOON.timeout);
    },
  };
  return queue;
}

/** Begins a job of an order, as a batch system does; comes back with its end. */
export const beginJob = ({ script, directory }: BatchOrder, index = 1): Promise<void> =>
  new Promise((resolve) => {
    const words = [directory, String(index)];
    spawn(script, words, { cwd: '/', stdio: 'ignore' }).once('exit', () => resolve());
  });
