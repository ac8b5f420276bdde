import { GridError } from '../errors.ts';

/**
 * The life of a task, as a table of moves. A job's own state is derived from its tasks (core/job/summary.ts).
 *
 * The broker makes `match`, `release`, `hold`, `unhold`, `retry` and the `cancel` of a task that is nowhere yet; every other
 * move is reported by a gateway. A report may be repeated or may skip a state (a task so short that the gateway saw
 * only its end), so each state accepts the moves of all later ones. Final states have no moves but `retry`, which takes a
 * person: a task that failed or was cancelled waits again.
 */
const END = {
  finish: 'done',
  fail: 'failed',
  cancel: 'cancelled',
  release: 'queued',
  hold: 'held',
} as const;
const MOVES = {
  queued: { match: 'matched', fail: 'failed', cancel: 'cancelled', hold: 'held' },
  matched: {
    stageIn: 'staging-in',
    submit: 'submitted',
    start: 'running',
    stageOut: 'staging-out',
    ...END,
  },
  'staging-in': {
    submit: 'submitted',
    start: 'running',
    stageOut: 'staging-out',
    suspend: 'suspended',
    ...END,
  },
  submitted: { start: 'running', stageOut: 'staging-out', suspend: 'suspended', ...END },
  running: { stageOut: 'staging-out', suspend: 'suspended', ...END },
  suspended: { start: 'running', stageOut: 'staging-out', ...END },
  'staging-out': { ...END },
  held: { unhold: 'queued', fail: 'failed', cancel: 'cancelled' },
  done: {},
  failed: { retry: 'queued' },
  cancelled: { retry: 'queued' },
} as const satisfies Record<string, Record<string, string>>;

/** Where a job, a task or an attempt stands. */
export type JobState = keyof typeof MOVES;

type KeysOfUnion<T> = T extends unknown ? keyof T : never;
/** What can happen to a task. */
export type JobMove = KeysOfUnion<(typeof MOVES)[JobState]>;

/** All states, in the order of a task's life. */
export const JOB_STATES = Object.keys(MOVES) as readonly JobState[];

/** The table itself, for the diagram in docs/ and for tests. */
export const jobMoves = (): Readonly<
  Record<JobState, Readonly<Partial<Record<JobMove, JobState>>>>
> => MOVES;

/** The state after a move, or undefined where the table has none. For replay, which is tolerant. */
export function peekNext(state: JobState, move: JobMove): JobState | undefined {
  const moves: Readonly<Partial<Record<JobMove, JobState>>> = MOVES[state];
  return moves[move];
}

/** The state after a move; throws JOB_EVENT_REFUSED where the table has none. For append, which is strict. */
export function next(state: JobState, move: JobMove): JobState {
  const after = peekNext(state, move);
  if (after === undefined) {
    throw new GridError('JOB_EVENT_REFUSED', `task is '${state}': '${move}' refused`);
  }
  return after;
}

/** Whether nothing happens any more by itself. */
export const isFinal = (state: JobState): boolean =>
  Object.keys(MOVES[state]).every((move) => move === 'retry');

/** Whether a site has (or may have) the task. */
export const isActive = (state: JobState): boolean =>
  !isFinal(state) && state !== 'queued' && state !== 'held';
