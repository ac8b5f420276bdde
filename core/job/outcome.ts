import type { TreeRef } from '../data/manifest.ts';

/** Who or what a failure belongs to; it decides whether another try can help. */
export type FailureKind = 'job' | 'limit' | 'site' | 'data' | 'credential' | 'owner';

/** What an attempt used. Bytes count what crossed the network: a warm cache makes `bytesIn` 0. */
export interface Usage {
  readonly cpuMs: number;
  readonly wallMs: number;
  /** 0 when the task ended before it was looked at. */
  readonly peakMemoryBytes: number;
  readonly bytesIn: number;
  readonly bytesOut: number;
}

/** How an attempt ended. */
export interface Outcome {
  /** The program's exit code; 128 + n when signal n ended it. */
  readonly exitCode: number;
  /** 0 for none. */
  readonly signal: number;
  /** Absent when the attempt is done. */
  readonly failure?: FailureKind;
  /** Stable code such as `EXIT_NONZERO`; '' when done. */
  readonly reason: string;
  /** One sentence for people. */
  readonly detail: string;
  readonly usage: Usage;
  /** Outputs; `stdout` and `stderr` stand below `.grid/`. */
  readonly outputs: TreeRef;
}
