import type { TreeRef } from '../data/manifest.ts';

/** What there is so far of the live outputs of a task that runs or was cut off: never a result. */
export interface LiveOutputs {
  /** With both streams below `.grid/`; no tree where nothing is newer than before. */
  readonly tree: TreeRef;
  /** When they were looked at, by the clock of the site. */
  readonly atMs: number;
  /** Why nothing is newer: code and sentence; empty where all is well. */
  readonly trouble: string;
}
