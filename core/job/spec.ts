import type { JobId, SiteId, VoName } from '../ids.ts';

/** What one task needs of one site. */
export interface Resources {
  /** Cores on one node. */
  readonly cpus: number;
  readonly memoryBytes: number;
  readonly gpus: number;
  /** Nodes, all at one site. */
  readonly nodes: number;
  readonly walltimeMs: number;
}

/** The values that an array runs over: a range, or a list. */
export type ArraySpec =
  | { readonly kind: 'range'; readonly first: number; readonly last: number; readonly step: number }
  | { readonly kind: 'list'; readonly values: readonly string[] };

/** An input: `from` is relative to the submit directory (its place in the manifest), `to` to the task's directory. */
export interface InputFile {
  readonly from: string;
  readonly to: string;
}

/** What the user asked for. It never changes. */
export interface JobSpec {
  readonly name: string;
  /** Program and arguments; the one-string form has become `['sh', '-c', text]` already. */
  readonly command: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  readonly inputs: readonly InputFile[];
  /** Globs relative to the task's directory. */
  readonly outputs: readonly string[];
  readonly resources: Resources;
  /** CEL over `site` and `job`; empty means any site. */
  readonly requirements: string;
  /** CEL over `site` and `job`, a number, highest first; empty means the grid's own order. */
  readonly rank: string;
  readonly array?: ArraySpec;
  /** Jobs that must be done before this one starts. */
  readonly after: readonly JobId[];
  /** Further tries of a task after a failure that another try may mend. */
  readonly retries: number;
  /** Empty until the CLI or the broker has filled in the caller's only VO. */
  readonly vo: VoName;
  readonly sites: readonly SiteId[];
  readonly excludeSites: readonly SiteId[];
  /** Path below the task's directory, or empty. */
  readonly stdin: string;
  /** What happens to a running task when its site loses the broker. */
  readonly onLost: 'release' | 'keep';
}

/** The most tasks that one array may have. */
export const MAX_ARRAY_TASKS = 1_000_000;

/** How many tasks the job has: 1 unless it is an array. */
export function taskCount(spec: Pick<JobSpec, 'array'>): number {
  const { array } = spec;
  if (array === undefined) return 1;
  return array.kind === 'list'
    ? array.values.length
    : Math.floor((array.last - array.first) / array.step) + 1;
}

/** The value of GRID_TASK at a position: an index of the range, an item of the list, or '' for no array. */
export function taskValue(spec: Pick<JobSpec, 'array'>, ordinal: number): string {
  const { array } = spec;
  if (array === undefined) return '';
  return array.kind === 'list'
    ? (array.values[ordinal] ?? '')
    : String(array.first + ordinal * array.step);
}
