import type { TreeRef } from '../core/data/manifest.ts';
import type { AttemptId, Dn, JobId, SiteId, VoName } from '../core/ids.ts';
import type { Outcome } from '../core/job/outcome.ts';
import type { JobState } from '../core/job/state.ts';
import type { Ask } from '../core/match/ask.ts';
import type { FailureCounts } from '../core/retry/retry.ts';

/**
 * The broker's memory of jobs that have not ended. It always agrees with the ledger but for what is being committed;
 * only broker/moves.ts changes it.
 */
export interface JobRecord {
  readonly id: JobId;
  readonly seq: number;
  readonly owner: Dn;
  readonly vo: VoName;
  readonly askId: number;
  readonly ask: Ask;
  readonly tasks: number;
  /** Digest of the input tree, '' for none. */
  readonly inputs: string;
  readonly after: readonly JobId[];
  readonly retries: number;
  readonly onLost: 'release' | 'keep';
  readonly submittedAtMs: number;
  /** Tasks from here on have not come into being; they count as queued. */
  nextOrdinal: number;
  /** Adds up to `tasks`. */
  readonly counts: Partial<Record<JobState, number>>;
  readonly sites: Set<SiteId>;
  /** Present once somebody asked for the end. */
  cancelReason?: string;
  reason: string;
  detail: string;
  /** Jobs of `after` that have not ended; the job is in no queue before they have. */
  readonly waitsFor: Set<JobId>;
  /** Tasks that have come into being and have not ended. */
  readonly open: Map<number, TaskRecord>;
  endedAtMs?: number;
}

export interface TaskRecord {
  readonly job: JobRecord;
  readonly ordinal: number;
  state: JobState;
  reason: string;
  detail: string;
  /** The last attempt, whether it is still live or not. */
  attempt?: AttemptRecord;
  attempts: number;
  failures: FailureCounts;
  /** Attempts that were let go without a failure. */
  releases: number;
  avoid: readonly SiteId[];
  notBeforeMs: number;
  /** Attempts that the broker has let go of: what they report late may still count. */
  readonly released: AttemptRecord[];
  endedAtMs?: number;
}

export interface AttemptRecord {
  readonly id: AttemptId;
  readonly task: TaskRecord;
  readonly number: number;
  readonly site: SiteId;
  state: JobState | 'released';
  reason: string;
  detail: string;
  readonly placedAtMs: number;
  startedAtMs?: number;
  endedAtMs?: number;
  outcome?: Outcome;
  /** Whether the gateway said that it has the attempt in its journal. */
  acknowledged: boolean;
  /** Whether it was placed into the site's backlog and has not started since. */
  waiting: boolean;
}

/** An outcome as the ledger keeps it: trees by digest, their manifests in a table of their own. */
export function formatOutcome(outcome: Outcome): string {
  const { digest, totalBytes, files } = outcome.outputs;
  return JSON.stringify({ ...outcome, outputs: { digest, totalBytes, files } });
}

export const parseOutcome = (text: string): Outcome => JSON.parse(text) as Outcome;

/** The row of a tree, or none where there is no tree. */
export function treeRows(tree: TreeRef | undefined): readonly {
  digest: string;
  total_bytes: number;
  files: number;
  manifest: Uint8Array | null;
}[] {
  if (tree === undefined || tree.digest === '') return [];
  const { digest, totalBytes, files, manifest } = tree;
  return [{ digest, total_bytes: totalBytes, files, manifest: manifest ?? null }];
}
