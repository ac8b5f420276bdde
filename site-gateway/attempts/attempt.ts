import type { Outcome } from '../../core/job/outcome.ts';
import type { JobSpec } from '../../core/job/spec.ts';
import type { AccountWish } from '../../core/match/accounts.ts';
import { formatFqan } from '../../core/vo/fqan.ts';
import { callerFromWire, treeFromWire } from '../../service/rpc/wire.ts';
import type { AcceptedAttempt, AttemptState, Ending, LiveAttempt } from '../journal/journal.ts';
import type { TaskEnd } from '../lrms/lrms.ts';
import type { StagedAttempt } from '../staging/staging.ts';
import type { ProgressWords } from '../staging/transfer-progress.ts';
import { attemptDirectory } from './attempt-directory.ts';
import { specOf } from './task.ts';

/** An attempt that has not ended. */
export interface Attempt extends StagedAttempt {
  readonly accepted: AcceptedAttempt;
  readonly startedBefore: boolean;
  readonly task: PromiseWithResolvers<TaskEnd>;
  readonly over: PromiseWithResolvers<void>;
  readonly abort: AbortController;
  state: AttemptState;
  ending: Ending;
  /** Why, where `ending` does not say it all; '' otherwise. */
  endingDetail: string;
  /** Monotonic; 0 until the LRMS has it. */
  submittedAtMs: number;
  /** Why it waits in its present state, as the broker was told last. */
  toldWaiting: string;
  /** How far it is, where the gateway itself does it and has begun. */
  progress: ProgressWords | undefined;
  /** Scratch space that was set aside for it; 0 until it has its part of the stock. */
  promisedBytes: number;
  /** Returns what it has of the stock. */
  giveBack: () => void;
  /** The task has ended and its room is free. */
  vacated: boolean;
  /** Somebody has asked for its files, and may have them open. */
  isWatched: boolean;
}

/** `live` is what the journal knows of it after a restart. */
export function attemptOf(spool: string, accepted: AcceptedAttempt, live?: LiveAttempt): Attempt {
  const spec = specOf(accepted);
  return {
    id: accepted.id,
    jobId: accepted.jobId,
    accepted,
    spec,
    inputs: treeFromWire(accepted.job.inputs),
    inputTrees: accepted.job.inputTrees.map(({ tree, to }) => ({ tree: treeFromWire(tree), to })),
    directory: attemptDirectory(spool, accepted.id),
    startedBefore: (live?.startedAtMs ?? 0) > 0,
    task: Promise.withResolvers(),
    over: Promise.withResolvers(),
    abort: new AbortController(),
    state: live?.state ?? 'accepted',
    ending: live?.ending ?? '',
    endingDetail: '',
    bytesIn: 0,
    submittedAtMs: 0,
    toldWaiting: '',
    progress: undefined,
    promisedBytes: 0,
    giveBack: () => undefined,
    vacated: false,
    isWatched: false,
  };
}

/** It has its part of the stock, until `giveBack`. */
export function provide(attempt: Attempt, giveBack: () => void): void {
  attempt.promisedBytes = attempt.spec.resources.diskBytes;
  attempt.giveBack = giveBack;
}

/** Its task has ended: what it had is free for others. */
export function vacate(attempt: Attempt): void {
  attempt.vacated = true;
  attempt.giveBack();
}

/** It came to its own end without a word, and nobody looks at its files. */
export const isSilent = (
  { ending, isWatched, spec }: Attempt,
  { failure, detail, outputs }: Outcome,
): boolean =>
  failure === undefined &&
  detail === '' &&
  ending === '' &&
  outputs.totalBytes === 0 &&
  (spec.liveOutputs ?? []).length === 0 &&
  !isWatched;

/** Whose task it is, for the choice of its account. */
export function wishOf({ job }: Pick<AcceptedAttempt, 'job'>, { vo }: JobSpec): AccountWish {
  const owner = callerFromWire(job.owner);
  return { owner: owner.dn, vo, fqans: owner.fqans.map(formatFqan) };
}
