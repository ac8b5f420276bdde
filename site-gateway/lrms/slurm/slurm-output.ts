import { BatchSilence } from '../batch/batch-command.ts';
import type { BatchEnd, BatchJob, JobOwners } from '../batch/batch-system.ts';
import { tokenOf } from '../batch/job-name.ts';
import { parseMemory } from '../batch/memory-words.ts';

/** What Slurm's commands print, read strictly: what is not as expected is no answer. */

/**
 * For SQUEUE_FORMAT. A line begins with a mark that nobody can guess: jobs are called what their owners like, and that may
 * have newlines and look like a line. Whose job it is stands before its name.
 */
export const queueFormat = (mark: string): string => `${mark}|%F|%K|%T|%C|%D|%m|%b|%U|%j|%r`;

/** A line of the queue, where it is one of ours. */
export interface QueueLine {
  readonly token: string;
  /** Elements of the submission that the line stands for. */
  readonly indexes: readonly number[];
  readonly idOf: (index: number) => string;
  readonly state: string;
  /** Whose job it is. */
  readonly uid: number;
  readonly reason: string;
  readonly cpus: number;
  readonly memoryBytes: number;
  readonly gpus: number;
}

/** Jobs with names of the gateway's, of those owners. */
export function parseQueue(
  text: string,
  mark: string,
  owners: Pick<JobOwners, 'isOwn'>,
): readonly QueueLine[] {
  if (text === '') return [];
  const [before, ...lines] = text.split(`${mark}|`);
  if (before !== '' || !text.endsWith('\n')) throw unreadable('squeue', text);
  return lines
    .map((line) => parseQueueLine(line.slice(0, line.indexOf('\n'))))
    .filter((line) => line !== undefined)
    .filter(({ token, uid }) => owners.isOwn(token, { uid }));
}

function parseQueueLine(line: string): QueueLine | undefined {
  const fields = line.split('|');
  if (fields.length < 9 || !/^\d+\|[^|]*\|[A-Z_]+\|\d+\|\d+\|[^|]*\|[^|]*\|\d+\|/.test(line))
    throw unreadable('squeue', line);
  const at = (index: number): string => fields[index] ?? '';
  const token = tokenOf(at(8));
  if (token === undefined) return undefined;
  const isArray = at(1) !== 'N/A' && at(1) !== '';
  const job = at(0);
  return {
    token,
    indexes: isArray ? parseIndexes(at(1)) : [1],
    idOf: isArray ? (index: number) => `${job}_${index}` : () => job,
    state: at(2),
    uid: Number(at(7)),
    reason: reasonOf(fields.slice(9).join('|')),
    cpus: Number(at(3)),
    memoryBytes: parseMemory(at(5), 'M') * Number(at(4)),
    gpus: parseGpus(at(6)) * Number(at(4)),
  };
}

/** Slurm says `None` where it has no reason. */
const reasonOf = (text: string): string => (text === 'None' ? '' : text);

/** `1-3,7%2` -> [1, 2, 3, 7]. */
function parseIndexes(text: string): readonly number[] {
  const parts = text.replace(/%\d+$/, '').split(',');
  return parts.flatMap((part) => {
    const [, first, last = first] = /^(\d+)(?:-(\d+))?$/.exec(part) ?? [];
    if (first === undefined) throw unreadable('squeue', text);
    const length = Number(last) - Number(first) + 1;
    return Array.from({ length }, (_, at) => Number(first) + at);
  });
}

const WAITING = [
  'PENDING',
  'REQUEUED',
  'REQUEUE_HOLD',
  'REQUEUE_FED',
  'SPECIAL_EXIT',
  'RESV_DEL_HOLD',
];

export const isRunning = ({ state }: QueueLine): boolean => !WAITING.includes(state);

export const isSuspended = ({ state }: QueueLine): boolean => state === 'SUSPENDED';

/** It has its nodes, and they are not up yet. */
const BOOTS = 'CONFIGURING';

function stateOf(line: QueueLine): BatchJob['state'] {
  if (isSuspended(line)) return 'suspended';
  return isRunning(line) && line.state !== BOOTS ? 'runs' : 'waits';
}

export const jobOf = (line: QueueLine, index: number): BatchJob => ({
  id: line.idOf(index),
  state: stateOf(line),
  reason: line.state === BOOTS ? 'its nodes are being made ready' : line.reason,
});

const ENDS: Readonly<Record<string, BatchEnd['kind']>> = {
  COMPLETED: 'ended',
  FAILED: 'ended',
  CANCELLED: 'cancelled',
  PREEMPTED: 'cancelled',
  REVOKED: 'cancelled',
  TIMEOUT: 'walltime',
  DEADLINE: 'walltime',
  OUT_OF_MEMORY: 'memory',
  NODE_FAIL: 'node-failed',
  BOOT_FAIL: 'node-failed',
};

/** When a job would start, of what `sbatch --test-only` says with TZ=UTC; undefined where it says something else. */
export function parseTestedStart(text: string): number | undefined {
  const start = /^sbatch: Job \d+ to start at (\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d) /m.exec(text)?.[1];
  return start === undefined ? undefined : Date.parse(`${start}Z`);
}

/** Undefined for a state in which it has not ended. */
export function endOf({
  state,
  reason,
}: Pick<QueueLine, 'state' | 'reason'>): BatchEnd | undefined {
  const kind = ENDS[state];
  if (kind === undefined) return undefined;
  return { kind, words: reasonOf(reason) === '' ? state : `${state}, ${reason}` };
}

/** A node, as far as it can run jobs. */
export interface NodeLine {
  readonly partitions: readonly string[];
  readonly name: string;
  readonly isUp: boolean;
  /** In Slurm's words: `IDLE+DRAIN`. */
  readonly state: string;
  /** Why it is down or drained, as far as somebody said; '' otherwise. */
  readonly reason: string;
  /** Whether it is kept for the jobs of a reservation now. */
  readonly isReserved: boolean;
  readonly cpus: number;
  readonly allocatedCpus: number;
  readonly memoryBytes: number;
  readonly allocatedMemoryBytes: number;
  readonly gpus: number;
  readonly gpuModels: readonly string[];
  readonly allocatedGpus: number;
  readonly features: readonly string[];
}

const UNUSABLE = /DOWN|DRAIN|FAIL|MAINT|NOT_RESPONDING|\*|REBOOT|UNKNOWN|FUTURE|INVAL|BLOCKED/;
/** Slurm saves its power, or wakes it: until it is up it does not answer. */
const SLEEP = /^POWER(?:(?:ED|ING)?_(?:DOWN|UP))?$/;
const SILENT = /^NOT_RESPONDING$|\*/;

/** Whether a node in a state like `IDLE+CLOUD+POWERED_DOWN` can run jobs, now or once Slurm has woken it. */
function canRun(state: string): boolean {
  const flags = state.split('+');
  const awake = flags.filter((flag) => !SLEEP.test(flag));
  const others =
    awake.length < flags.length ? awake.map((flag) => flag.replace(SILENT, '')) : flags;
  return !UNUSABLE.test(others.join('+'));
}

/** At the end of a node's line, with who wrote it and when. */
const REASON = / Reason=(.*?)(?: \[[^\]]*@[^\]]*\].*| Comment=.*)?$/;

/** Of `scontrol -o -d show node`: without `-d` GPUs in use are told only where accounting counts them. */
export function parseNodes(text: string): readonly NodeLine[] {
  return linesOf(text, 'scontrol').map((line) => {
    const field = fieldsOf(line, 'NodeName');
    return {
      name: field('NodeName'),
      partitions: field('Partitions').split(','),
      isUp: canRun(field('State')),
      state: field('State'),
      reason: REASON.exec(line)?.[1] ?? '',
      isReserved: field('State').includes('RESERVED'),
      cpus: Number(field('CPUEfctv') || field('CPUTot')),
      allocatedCpus: Number(field('CPUAlloc')),
      memoryBytes: Number(field('RealMemory')) * 2 ** 20,
      allocatedMemoryBytes: Number(field('AllocMem')) * 2 ** 20,
      gpus: parseGpus(field('Gres')),
      gpuModels: [...field('Gres').matchAll(GPU)].flatMap(([, model]) => model ?? []),
      features: parseFeatures(field('ActiveFeatures')),
      allocatedGpus: parseGpus(field('GresUsed')),
    };
  });
}

export interface PartitionLine {
  readonly name: string;
  /** 0 for no limit. */
  readonly maxWalltimeMs: number;
  readonly isDefault: boolean;
  /** Who does not ask for all partitions does not see it; it takes jobs all the same. */
  readonly isHidden: boolean;
  /** Whether it is for every group and account. */
  readonly isForAll: boolean;
  readonly state: string;
  /** 0 for no limit. */
  readonly maxNodes: number;
}

/** Of `scontrol -o show partition`. */
export function parsePartitions(text: string): readonly PartitionLine[] {
  return linesOf(text, 'scontrol').map((line) => {
    const field = fieldsOf(line, 'PartitionName');
    return {
      name: field('PartitionName'),
      isDefault: field('Default') === 'YES',
      isHidden: field('Hidden') === 'YES',
      isForAll: field('AllowGroups') === 'ALL' && field('AllowAccounts') === 'ALL',
      state: field('State'),
      maxNodes: Number.parseInt(field('MaxNodes'), 10) || 0,
      maxWalltimeMs: parseTime(field('MaxTime')),
    };
  });
}

/** Nodes of the reservation in `scontrol -o show reservation NAME`, as Slurm lists them: `n[1-3],m7`. */
export const reservedNodes = (text: string): string =>
  linesOf(text, 'scontrol').map((line) => fieldsOf(line, 'ReservationName')('Nodes'))[0] ?? '';

/** A value of `scontrol show config`; undefined where it is not there. */
export const configValue = (text: string, name: string): string | undefined =>
  new RegExp(`^${name}\\s*= (.*)$`, 'm').exec(text)?.[1]?.trim();

/** `1-00:00:00` or `UNLIMITED` -> ms, 0 for no limit. */
function parseTime(text: string): number {
  const [, days = '0', hours, minutes, seconds] = /^(?:(\d+)-)?(\d+):(\d+):(\d+)$/.exec(text) ?? [];
  if (hours === undefined) return 0;
  return (
    (((Number(days) * 24 + Number(hours)) * 60 + Number(minutes)) * 60 + Number(seconds)) * 1_000
  );
}

/** `gpu`, `gpu:2`, `gpu:a100:4(S:0-1)`, `gpu:(null):1`, `gres/gpu:3090=1`, between others. A type may be all digits: what stands last is the count. */
const GPU = /(?:^|[,:/])gpu(?::(?:\(null\)|([\w.-]+?)))??(?:[:=](\d+))?(?=\(|,|$)/g;

/** GPUs in `gpu:a100:4(S:0-1),gpu:2`, `gres:gpu:1`, `gres/gpu:1` or `(null)`. */
const parseGpus = (text: string): number =>
  [...text.matchAll(GPU)].reduce((sum, [, , count]) => sum + Number(count ?? 1), 0);

const parseFeatures = (text: string): readonly string[] =>
  text === '(null)' || text === '' ? [] : text.split(',');

function linesOf(text: string, command: string): readonly string[] {
  if (text !== '' && !text.endsWith('\n')) throw unreadable(command, text.slice(-80));
  return text.split('\n').filter((line) => line.trim() !== '' && !NONE.test(line));
}

/** What an account reads that may use no partition. */
const NONE = /^No (?:nodes|partitions) in the system$/;

function fieldsOf(line: string, first: string): (name: string) => string {
  if (!line.startsWith(`${first}=`)) throw unreadable('scontrol', line);
  return (name) => new RegExp(`(?:^| )${name}=(\\S*)`).exec(line)?.[1] ?? '';
}

const unreadable = (command: string, text: string): BatchSilence =>
  new BatchSilence(`${command} said what cannot be understood: '${text.slice(0, 80)}'`);
