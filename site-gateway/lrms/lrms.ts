import type { AttemptId } from '../../core/ids.ts';

/** What a batch system is asked to run: one task of one attempt. */
export interface LrmsTask {
  /** Names the task in the batch system; nothing ever runs twice under one id. */
  readonly id: AttemptId;
  /** The attempt's directory: `work/` in it is the task's own; `stdout` and `stderr` come to stand beside. */
  readonly directory: string;
  /** Program and arguments, handed on byte for byte. */
  readonly command: readonly string[];
  /** The whole environment. */
  readonly env: Readonly<Record<string, string>>;
  /** Absolute path of standard input. */
  readonly stdin: string;
  readonly cpus: number;
  readonly memoryBytes: number;
  readonly walltimeMs: number;
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
      readonly limit: 'walltime' | 'memory';
      /** What was measured and what was allowed: milliseconds or bytes. */
      readonly measured: number;
      readonly allowed: number;
      readonly exitCode: number;
      readonly usage: TaskUsage;
      readonly leftBehind: readonly string[];
    }
  /** Its processes are gone and nobody knows how it ended. */
  | { readonly kind: 'vanished'; readonly detail: string }
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
}

/** What the gateway needs of a batch system. Answers come through the listener. */
export interface Lrms extends AsyncDisposable {
  /** Queues a task; a second call with the same id does nothing. */
  submit(task: LrmsTask): void;
  /** Takes up a task that an earlier run may have submitted; false when it never started and may be submitted. */
  adopt(task: LrmsTask): Promise<boolean>;
  /** Ends a task: TERM, and KILL after `graceMs`. `ended` follows. Nothing happens for a task that is unknown. */
  cancel(id: AttemptId, graceMs: number): void;
}
