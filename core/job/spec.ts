import { isDatasetInput } from '../data/dataset.ts';
import { isRemoteInput, parseRemote } from '../data/remote-file.ts';
import { type JobId, jobId, type SiteId, type VoName } from '../ids.ts';
import type { SandboxDemand } from './sandbox.ts';
import type { SoftwareDemand } from './software.ts';

/** Counts by name, sorted by name. */
export type Licences = Readonly<Record<string, number>>;

export const isLicenceName = (text: string): boolean =>
  /^[A-Za-z0-9][A-Za-z0-9._@+-]{0,63}$/.test(text);

/** What one task needs of one site. */
export interface Resources {
  /** Cores on one node. */
  readonly cpus: number;
  readonly memoryBytes: number;
  readonly gpus: number;
  /** Nodes, all at one site. */
  readonly nodes: number;
  readonly walltimeMs: number;
  /** Scratch space, on all nodes together. */
  readonly diskBytes: number;
  /** Whole words of a model that the site names, in any case; empty for any. */
  readonly gpuModel: string;
  /** Held while it runs. */
  readonly licences: Licences;
}

/** The values that an array runs over: a range, or a list. */
export type ArraySpec =
  | { readonly kind: 'range'; readonly first: number; readonly last: number; readonly step: number }
  | { readonly kind: 'list'; readonly values: readonly string[] };

/**
 * An input: `from` is relative to the submit directory (its place in the manifest; core/job/outside.ts has that of others), or `job:ID` for the outputs of
 * another job, or `grid:/VO/NAME@v3` for a dataset, or the address of a file elsewhere with its digest; `to` is relative to the
 * task's directory.
 */
export interface InputFile {
  readonly from: string;
  readonly to: string;
}

/** How a job must have ended for another to come after it: done, however, or anything but done. */
export const CONDITIONS = ['ok', 'any', 'not-ok'] as const;
export type Condition = (typeof CONDITIONS)[number];

/** A job that another one comes after. Inside a flow that has not been submitted yet, `job` is the name of a node. */
export interface Dependency {
  readonly job: JobId;
  readonly when: Condition;
}

/** What the user asked for. It never changes. */
export interface JobSpec extends SandboxDemand, SoftwareDemand {
  readonly name: string;
  /** Program and arguments; the one-string form has become `['sh', '-c', text]` already. */
  readonly command: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  readonly inputs: readonly InputFile[];
  /** 'copy' gives each task files of its own, which it may change; absent for what the site does: most give read-only links. */
  readonly inputsAs?: 'copy';
  /** Globs relative to the task's directory. */
  readonly outputs: readonly string[];
  /** Those of `outputs` that go to the store while the task runs, too; absent for none. */
  readonly liveOutputs?: readonly string[];
  readonly resources: Resources;
  /** CEL over `site` and `job`; empty means any site. */
  readonly requirements: string;
  /** CEL over `site` and `job`, a number, highest first; empty means the grid's own order. */
  readonly rank: string;
  readonly array?: ArraySpec;
  /** Jobs that must have ended before this one starts; each once. */
  readonly after: readonly Dependency[];
  /** Further tries of a task after a failure that another try may mend. */
  readonly retries: number;
  /** The most tasks of an array that are at sites at a time; absent for no limit. */
  readonly maxRunning?: number;
  /** Factor by which memory grows when a task was ended for lack of it; absent for never. */
  readonly retryMemory?: number;
  /** Group of the VO that is charged; where none is named, that of the owner's first FQAN in it. */
  readonly group?: string;
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

const JOB_INPUT = /^job:(.+)$/;

/** Inputs that are the outputs of other jobs: the job waits for these as if they stood in `after`. */
export function jobInputs(
  spec: Pick<JobSpec, 'inputs'>,
): readonly { readonly job: JobId; readonly to: string }[] {
  return spec.inputs.flatMap(({ from, to }) => {
    const id = JOB_INPUT.exec(from)?.[1];
    return id === undefined ? [] : [{ job: jobId(id), to }];
  });
}

/** Whether an input is a tree that is on the grid already. */
const isTreeInput = (from: string): boolean => JOB_INPUT.test(from) || isDatasetInput(from);

/** Whether an input comes from the submit directory, not from the grid and not from elsewhere. */
export const isFileInput = (from: string): boolean => !isTreeInput(from) && !isRemoteInput(from);

/** Inputs that come from the submit directory. */
export const fileInputs = (spec: Pick<JobSpec, 'inputs'>): readonly InputFile[] =>
  spec.inputs.filter(({ from }) => isFileInput(from));

/** Whether it has inputs that are trees on the grid already. */
export const hasTreeInputs = (spec: Pick<JobSpec, 'inputs'>): boolean =>
  spec.inputs.some(({ from }) => isTreeInput(from));

/** Inputs that are datasets. */
export const datasetInputs = (spec: Pick<JobSpec, 'inputs'>): readonly InputFile[] =>
  spec.inputs.filter(({ from }) => isDatasetInput(from));

/** Inputs that gateways fetch from elsewhere. */
export const remoteInputs = (spec: Pick<JobSpec, 'inputs'>): readonly InputFile[] =>
  spec.inputs.filter(({ from }) => isRemoteInput(from));

/** Where these come from: `host` or `host:port`, sorted, each once. */
export function fetchedHosts(spec: Pick<JobSpec, 'inputs'>): readonly string[] {
  const hosts = remoteInputs(spec).flatMap(({ from }) => {
    const parsed = parseRemote(from);
    return parsed.ok ? [new URL(parsed.file.url).host] : [];
  });
  return [...new Set(hosts)].toSorted();
}

/** Name of a task's own directory among the results of its array: its value where that is a safe name, else its ordinal. */
export function taskDirectory(spec: Pick<JobSpec, 'array'>, ordinal: number): string {
  const value = taskValue(spec, ordinal);
  return /^[A-Za-z0-9_][A-Za-z0-9._-]{0,63}$/.test(value) ? value : String(ordinal);
}
