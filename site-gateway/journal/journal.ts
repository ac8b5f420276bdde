import type { AttemptId } from '../../core/ids.ts';
import type { LiveOutputs } from '../../core/job/live-outputs.ts';
import type { Outcome } from '../../core/job/outcome.ts';
import type { StagingTicket, TreeRef } from '../../proto/gen/grid/v1/common.ts';
import type { AttemptUpdate, PlacedJob } from '../../proto/gen/grid/v1/site.ts';

/** Where an attempt stands in the journal. */
export type AttemptState =
  | 'accepted'
  | 'staging-in'
  | 'submitted'
  | 'running'
  | 'suspended'
  | 'staging-out'
  | 'done'
  | 'failed'
  | 'cancelled';

/** Why the gateway ends an attempt before its task has come to its own end; '' when it does not. */
export type Ending = '' | 'cancelled' | 'unwanted' | 'lease-expired' | 'owner';

/** An attempt as it was accepted. */
export interface AcceptedAttempt {
  readonly id: AttemptId;
  readonly jobId: string;
  readonly ordinal: number;
  readonly taskValue: string;
  /** Memory in place of the spec's; 0 for what the spec says. */
  readonly memoryBytes: number;
  /** Queue of the batch system that it is for; '' for any. */
  readonly queue: string;
  readonly job: PlacedJob;
}

/** An attempt that has not ended, as the journal knows it. */
export interface LiveAttempt extends AcceptedAttempt {
  readonly state: AttemptState;
  readonly ending: Ending;
  readonly startedAtMs: number;
}

/** One step in the life of an attempt. */
export interface Step {
  readonly id: AttemptId;
  readonly state: AttemptState;
  readonly atMs: number;
  readonly outcome?: Outcome;
  readonly detail?: string;
  /** False for what is written down but not worth telling. */
  readonly tell: boolean;
}

/** The lease as far as a later run of the gateway can use it. */
export interface KeptLease {
  readonly lengthMs: number;
  /** By the machine's uptime, which runs on between two runs of the gateway; valid for one boot only. */
  readonly endUptimeMs: number;
  readonly bootId: string;
}

/** The gateway's memory: what it accepted, and the outbox of what it has to tell. */
export interface Journal extends Disposable {
  /** Names this journal and the numbering of its updates. */
  readonly id: string;
  epoch(): number;
  raiseEpoch(epoch: number): Promise<void>;
  /** One transaction for the whole batch. */
  accept(attempts: readonly AcceptedAttempt[], atMs: number): Promise<void>;
  /** Ids that are in the journal, ended or not. */
  known(ids: readonly string[]): ReadonlySet<string>;
  live(): readonly LiveAttempt[];
  step(step: Step): Promise<void>;
  /** Tells of the live outputs of an attempt that has not ended; what was told of them before and not heard yet is forgotten. */
  tellLive(id: AttemptId, live: LiveOutputs): Promise<void>;
  /** Resolves once the intent is on the disk; an earlier one stays. */
  intend(ids: readonly AttemptId[], ending: Ending): Promise<void>;
  /** The intent was not carried out; another one stays. */
  takeBack(ids: readonly AttemptId[], ending: Ending): Promise<void>;
  updatesAfter(seq: number, limit: number): readonly AttemptUpdate[];
  /** Forgets updates up to `seq`. */
  acknowledge(seq: number): Promise<void>;
  /** Resolves after the next commit, or when `signal` aborts. */
  nextCommit(signal: AbortSignal): Promise<void>;
  /** Outputs of an attempt that has ended. */
  outputsOf(id: string): TreeRef | undefined;
  /** An attempt that has ended and whose directory is there. */
  ended(id: string): AcceptedAttempt | undefined;
  /**
   * Attempts whose end was acknowledged and lies before `beforeMs`, and whose directories are still there; those that ended
   * first come first, and so many of them are left out.
   */
  removable(beforeMs: number, limit: number, skipped: number): readonly AttemptId[];
  removed(ids: readonly AttemptId[]): Promise<void>;
  /** Drops attempts without directories that ended before `beforeMs`, and jobs without attempts. */
  forget(beforeMs: number): Promise<void>;
  lease(): KeptLease | undefined;
  keepLease(lease: KeptLease): Promise<void>;
  tickets(): readonly StagingTicket[];
  keepTickets(tickets: readonly StagingTicket[]): Promise<void>;
}
