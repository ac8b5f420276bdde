import { isActive, isFinal, JOB_STATES, type JobState } from './state.ts';

/** Tasks of a job by state. Tasks that have not come into being yet count as queued. */
export type StateCounts = Readonly<Partial<Record<JobState, number>>>;

/** The same, as coarse as a listing shows it. */
export interface TaskCounts {
  readonly queued: number;
  readonly active: number;
  readonly done: number;
  readonly failed: number;
  readonly cancelled: number;
  readonly held: number;
}

/** Which of the states of tasks at a site speaks for the job: the most telling first. */
const ACTIVE_BY_WEIGHT = [
  'running',
  'staging-out',
  'suspended',
  'submitted',
  'staging-in',
  'matched',
] as const satisfies readonly JobState[];

/**
 * A job's state from its tasks:
 * 1. while tasks are at sites, the most telling of their states (running before staging-out before suspended before
 *    submitted before staging-in before matched);
 * 2. else `queued` while any waits, else `held` while any is held;
 * 3. else all have ended: `failed` if any failed, else `cancelled` if any was cancelled, else `done`.
 * So the state of a job with one task is its task's.
 */
export function jobStateOf(counts: StateCounts): JobState {
  const has = (state: JobState): boolean => (counts[state] ?? 0) > 0;
  const order = [...ACTIVE_BY_WEIGHT, 'queued', 'held', 'failed', 'cancelled'] as const;
  return order.find(has) ?? 'done';
}

/** Whether every task has ended. */
export const hasEnded = (counts: StateCounts): boolean =>
  JOB_STATES.every((state) => isFinal(state) || (counts[state] ?? 0) === 0);

/** Adds up what a listing does not tell apart. */
export function taskCountsOf(counts: StateCounts): TaskCounts {
  const active = JOB_STATES.filter(isActive).reduce((sum, state) => sum + (counts[state] ?? 0), 0);
  return {
    queued: counts.queued ?? 0,
    active,
    done: counts.done ?? 0,
    failed: counts.failed ?? 0,
    cancelled: counts.cancelled ?? 0,
    held: counts.held ?? 0,
  };
}
