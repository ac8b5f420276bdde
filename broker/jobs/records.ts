import { EMPTY_TREE, type TreeRef } from '../../core/data/manifest.ts';
import type { AttemptId, Dn, JobId, SiteId, VoName } from '../../core/ids.ts';
import { formatDependency, parseDependency } from '../../core/job/dependency.ts';
import type { LiveOutputs } from '../../core/job/live-outputs.ts';
import type { Outcome } from '../../core/job/outcome.ts';
import type { Dependency, JobSpec } from '../../core/job/spec.ts';
import type { JobState } from '../../core/job/state.ts';
import type { StateCounts } from '../../core/job/summary.ts';
import type { SeenWaits } from '../../core/match/waits.ts';
import type { FailureCounts } from '../../core/retry/retry.ts';
import type { AskClass } from '../matching/ask-class.ts';

/** What there is of the live outputs of a task that has no results; `tree` without its manifest. */
export interface LiveState extends LiveOutputs {
  /** Attempt that made them, and its site. */
  readonly attempt: string;
  readonly site: string;
}

/** Why something is done, for the log and for listings. */
export interface Why {
  readonly reason: string;
  readonly detail: string;
}

/**
 * The broker's memory of jobs that have not ended. It always agrees with the ledger but for what is being committed;
 * only broker/jobs/moves.ts, broker/jobs/job-moves.ts and broker/jobs/live-state.ts change it.
 */
export interface JobRecord extends AskClass {
  readonly id: JobId;
  readonly seq: number;
  readonly owner: Dn;
  readonly vo: VoName;
  readonly tasks: number;
  /** Digest of the input tree, '' for none. */
  readonly inputs: string;
  readonly after: readonly Dependency[];
  readonly retries: number;
  /** Factor by which a task's memory grows when it had too little. */
  readonly retryMemory?: number;
  /** The most tasks at sites at a time. */
  readonly maxRunning?: number;
  readonly onLost: 'release' | 'keep';
  readonly submittedAtMs: number;
  /** Tasks from here on have not come into being; they count as queued, or as held while the job is. */
  nextOrdinal: number;
  /** Adds up to `tasks`. Replaced by each change, never changed: jobs that stand alike may share it. */
  counts: StateCounts;
  sites: ReadonlySet<SiteId>;
  /** Present while nothing of it may be placed. */
  hold?: Why;
  /** Present once somebody asked for the end. */
  cancelReason?: string;
  reason: string;
  detail: string;
  /** Jobs of `after` that have not been settled; the job is in no queue before they are. */
  waitsFor: ReadonlySet<JobId>;
  /** Tasks that have come into being and have not ended. */
  open: ReadonlyMap<number, TaskRecord>;
  endedAtMs?: number;
}

/**
 * Most jobs of a long queue have none of these: they share what is empty, so that a million of them fit into memory.
 * Only the functions below put anything into them.
 */
export const NOTHING: Pick<JobRecord, 'sites' | 'waitsFor' | 'open'> = {
  sites: new Set(),
  waitsFor: new Set(),
  open: new Map(),
};

const ONE_QUEUED: StateCounts = { queued: 1 };

/** Of a job with so many tasks that was just submitted. */
export const freshCounts = (tasks: number): StateCounts =>
  tasks === 1 ? ONE_QUEUED : { queued: tasks };

export function addSite(job: JobRecord, site: SiteId): void {
  if (!job.sites.has(site)) job.sites = new Set([...job.sites, site]);
}

export function addTask(job: JobRecord, task: TaskRecord): void {
  if (job.open === NOTHING.open) job.open = new Map();
  (job.open as Map<number, TaskRecord>).set(task.ordinal, task);
}

export function dropTask(job: JobRecord, { ordinal }: TaskRecord): void {
  (job.open as Map<number, TaskRecord>).delete(ordinal);
  if (job.open.size === 0) job.open = NOTHING.open;
}

/** `others` have not ended yet. */
export function waitFor(job: JobRecord, others: readonly JobId[]): void {
  job.waitsFor = others.length === 0 ? NOTHING.waitsFor : new Set(others);
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
  /** Its own ask class, where it asks for more than its job. */
  own?: AskClass;
  avoid: readonly SiteId[];
  notBeforeMs: number;
  /** Of its last attempt that sent any, until an attempt has left results. */
  live?: LiveState;
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
  /** While it waits in the batch system: since when by the gateway's clock, where that is known. */
  queued?: { readonly tally: WaitTally; readonly siteAtMs: number | undefined };
  /** Why the broker has the site end it while its job goes on; absent where it does not. */
  evicted?: Why;
}

/** Tasks of one kind that came to a site in one way. */
export interface WaitTally {
  seen: SeenWaits;
  /** How many wait. */
  queued: number;
  /** Since when, with none of them starting. */
  sinceMs: number;
}

/** What a task asks for. */
export const classOf = (task: TaskRecord): AskClass => task.own ?? task.job;
/** Dependencies as the ledger keeps them: `ID`, or `ID:any`. */
export const formatAfter = (after: readonly Dependency[]): readonly string[] =>
  after.map(formatDependency);
export const parseAfter = (texts: readonly string[]): readonly Dependency[] =>
  texts.flatMap((text) => parseDependency(text) ?? []);

export const formatSpec = (spec: JobSpec): string =>
  JSON.stringify({ ...spec, after: formatAfter(spec.after) });
export function parseStoredSpec(text: string): JobSpec {
  const stored = JSON.parse(text) as Omit<JobSpec, 'after'> & { readonly after: readonly string[] };
  return { ...stored, after: parseAfter(stored.after) };
}

/** An outcome as the ledger keeps it: trees by digest, their manifests in a table of their own. */
export function formatOutcome(outcome: Outcome): string {
  const { digest, totalBytes, files } = outcome.outputs;
  return JSON.stringify({ ...outcome, outputs: { digest, totalBytes, files } });
}

export const parseLive = (text: string): LiveState => JSON.parse(text) as LiveState;

/** An outcome of the ledger; `outputs` says whether its outputs are kept still ('' for not). */
export function parseOutcome(text: string, outputs: string): Outcome {
  const outcome = JSON.parse(text) as Outcome;
  return outputs === '' ? { ...outcome, outputs: EMPTY_TREE } : outcome;
}

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
