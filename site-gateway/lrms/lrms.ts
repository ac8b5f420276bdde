import type { AttemptId } from '../../core/ids.ts';
import type { Network, Sandbox } from '../../core/job/sandbox.ts';
import type { Licences } from '../../core/job/spec.ts';
import type { Offer } from '../../core/match/offer.ts';
import type { Account } from '../accounts/account.ts';

/** What a batch system is asked to run: one task of one attempt. */
export interface LrmsTask {
  /** Names the task in the batch system; nothing ever runs twice under one id. */
  readonly id: AttemptId;
  /** The attempt's directory: `work/` and `tmp/` in it are the task's own; `stdout` and `stderr` come to stand beside. */
  readonly directory: string;
  /** Program and arguments, handed on byte for byte. */
  readonly command: readonly string[];
  /** The whole environment, but for what the batch system adds about itself. */
  readonly env: Readonly<Record<string, string>>;
  /** Absolute path of standard input. */
  readonly stdin: string;
  /** Queue that it is for, if the site uses it; left out for any. */
  readonly queue?: string;
  /** Nodes of one gang; the program starts on the first. CPUs, memory and GPUs are those of each node. `hostfileOf` names them. */
  readonly nodes: number;
  readonly gpus: number;
  /** Words of their model; left out for any. */
  readonly gpuModel?: string;
  readonly cpus: number;
  readonly memoryBytes: number;
  readonly walltimeMs: number;
  /** Most that its directory may hold, whatever the number of nodes; 0 or left out for no limit. */
  readonly diskBytes?: number;
  /** Licences of the task as a whole, by the grid's names; left out for none. */
  readonly licences?: Licences;
  /** The least class that will do. */
  readonly sandbox: Sandbox;
  readonly network: Network;
  /**
   * Its command makes namespaces of its own, as those of an image do. The processes in them are below it, or `beside` it:
   * then they are no children of it, and the first of them is found in `containerFolderOf`, which is there before it is run.
   */
  readonly boxed?: 'below' | 'beside';
  /** Words that remove what it may have left beside its processes when it was killed; harmless otherwise. */
  readonly afterwards?: readonly string[];
  /** Runs it; the gateway's own where it is left out. */
  readonly account?: Account;
}

/** What a task used, as far as the batch system knows. */
export interface TaskUsage {
  readonly cpuMs: number;
  readonly wallMs: number;
  readonly peakMemoryBytes: number;
}

/** How a task ended. */
export type TaskEnd =
  | {
      readonly kind: 'exited';
      /** 128 + n when signal n ended it. */
      readonly exitCode: number;
      readonly usage: TaskUsage;
      /** Names of processes that it left behind and that were ended. */
      readonly leftBehind: readonly string[];
    }
  | {
      readonly kind: 'limit';
      readonly limit: 'walltime' | 'memory' | 'disk';
      /** What was measured and what was allowed: milliseconds or bytes. */
      readonly measured: number;
      readonly allowed: number;
      readonly exitCode: number;
      readonly usage: TaskUsage;
      readonly leftBehind: readonly string[];
    }
  /** It ran, and nobody knows how it would have ended: its processes are gone, or the site ended it. */
  | {
      readonly kind: 'vanished';
      readonly reason: 'TASK_VANISHED' | 'SITE_CANCELLED';
      readonly detail: string;
      /** As far as it is known. */
      readonly usage: TaskUsage;
    }
  /** It never ran. `fault` says whose fault that is. */
  | {
      readonly kind: 'not-started';
      readonly fault: 'job' | 'site';
      readonly reason: string;
      readonly detail: string;
    };

/** Who hears what becomes of tasks. */
export interface LrmsListener {
  started(id: AttemptId, atMs: number): void;
  /** Once per task and run of the gateway; all its processes are gone by then. */
  ended(id: AttemptId, end: TaskEnd): void;
  /** A task that runs stands still, for this reason; or it goes on, where that is ''. */
  suspended?(id: AttemptId, atMs: number, why: string): void;
  /** What `state` says has changed. */
  changed(): void;
}

/** What the batch system has for the grid, nodes that are down or drained taken off. */
export interface Capacity {
  readonly cpus: number;
  readonly memoryBytes: number;
  readonly gpus: number;
  /** What the grid may have of it now: all but what others have. */
  readonly usableCpus: number;
  readonly usableMemoryBytes: number;
  readonly usableGpus: number;
  readonly maxNodes: number;
  /** 0 for no limit. */
  readonly maxWalltimeMs: number;
  /** Empty where it is one queue as a whole. */
  readonly queues: Offer['queues'];
  /** How long a task waits before it starts, as the batch system itself expects; absent where it does not say. */
  readonly expectedWaitMs?: number;
}

/** How the batch system is. */
export interface LrmsState {
  /** Why it takes nothing new; '' while it does. */
  readonly closedReason: string;
  /** Absent while it has not said, and where the site's configuration says it. */
  readonly capacity?: Capacity;
  /** What tasks may be put into; absent where the batch system decides that. */
  readonly sandbox?: Sandbox;
  /** Of each GPU of a machine of its own; absent where the capacity says what there is. */
  readonly gpuModels?: readonly string[];
}

/** A task as the batch system has it, by the last look. */
export interface ListedTask {
  /** '' for what is in the queue under a name of the gateway's and is none of its tasks. */
  readonly id: AttemptId | '';
  /** Its own name for it; '' while it has none. */
  readonly batchId: string;
  readonly state: 'waits' | 'runs' | 'suspended' | 'stuck' | 'unlisted';
  /** Why it waits, in its own words. */
  readonly reason: string;
}

/** What the gateway needs of a batch system. Answers come through the listener. */
export interface Lrms extends AsyncDisposable {
  /** What the hostfile of a task will say, where that is known beforehand and nobody but this machine sees its directory. */
  hostsOf?(task: LrmsTask): string;
  /** Queues a task; a second call with the same id does nothing. */
  submit(task: LrmsTask): void;
  /** Takes up a task that an earlier run may have submitted; false when it never started and may be submitted. */
  adopt(task: LrmsTask): Promise<boolean>;
  /** Ends and removes what an earlier run left of tasks that have not been taken up; called once, after the last of them. */
  clear?(): Promise<void>;
  /**
   * Ends a task: TERM as soon as may be, KILL `graceMs` after that, and `latestMs` after this call at the latest, TERM or
   * not (half a minute after the grace where it is not said: a batch system may be away). `ended` follows. Nothing happens for a task that is unknown.
   */
  cancel(id: AttemptId, graceMs: number, latestMs?: number): void;
  /**
   * Lets all tasks stand still, those too that begin later, for this reason; '' lets them go on. Absent where the batch
   * system has rules of its own for that.
   */
  suspend?(why: string): void;
  /** Why a task does not run yet, in the batch system's own words; '' where it does not say. */
  waitReason(id: AttemptId): string;
  state(): LrmsState;
  /** What it has of ours now, for people. */
  list(): readonly ListedTask[];
}
