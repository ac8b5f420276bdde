import { hasGpuModel } from '../../../core/match/gpu-model.ts';
import { nodesFor } from '../../../core/match/node-kind.ts';
import { sum } from '../../../core/sum.ts';
import { BatchSilence } from '../batch/batch-command.ts';
import type { Needs } from '../batch/batch-system.ts';
import type { Capacity } from '../lrms.ts';
import { kindsOf } from '../node-kinds.ts';
import {
  isRunning,
  isSuspended,
  type NodeLine,
  type PartitionLine,
  type QueueLine,
} from './slurm-output.ts';

/** The partitions that the site uses. A name that Slurm does not have is a fault of the configuration: the site is closed. */
export function choose(
  partitions: readonly PartitionLine[],
  wanted: readonly string[],
): readonly PartitionLine[] {
  if (partitions.length === 0)
    throw new BatchSilence(
      'it shows this account no partition: may it use one (AllowGroups and AllowAccounts in slurm.conf)?',
    );
  if (wanted.length === 0) {
    const found = partitions.filter(({ isDefault }) => isDefault);
    if (found.length === 0)
      throw new BatchSilence('no partition is the default one, and the site names none');
    return found;
  }
  return wanted.map((name) => {
    const found = partitions.find((one) => one.name === name);
    if (found === undefined) throw new BatchSilence(`there is no partition '${name}'`);
    return found;
  });
}

/** '' where at least one takes jobs and has a node to run them. */
export function closedReason(chosen: readonly PartitionLine[], nodes: readonly NodeLine[]): string {
  const open = chosen.filter(takesJobs);
  if (open.length === 0)
    return chosen.map(({ name, state }) => `partition ${name} is ${state}`).join(', ');
  const theirs = nodes.filter((node) => isIn(node, open));
  if (theirs.some(({ isUp }) => isUp)) return '';
  const names = open.map(({ name }) => name).join(', ');
  if (theirs.length === 0) return `no node of partition ${names} is free for the grid`;
  // Few kinds of trouble, however many nodes.
  const kinds = new Map<string, string[]>();
  for (const { name, state, reason } of theirs) {
    const kind = reason === '' ? state : `${state} (${reason})`;
    kinds.set(kind, [...(kinds.get(kind) ?? []), name]);
  }
  const words = [...kinds].map(([kind, those]) => `${shortList(those)} ${kind}`);
  return `no node of partition ${names} is up: ${shortList(words)}`;
}

const MOST_NAMED = 3;
const shortList = (words: readonly string[]): string => {
  const more = words.length - MOST_NAMED;
  const shown = words.slice(0, MOST_NAMED).join(', ');
  return more > 0 ? `${shown} and ${more} more` : shown;
};

const takesJobs = ({ state }: PartitionLine): boolean => state === 'UP';

const isIn = (node: NodeLine, partitions: readonly PartitionLine[]): boolean =>
  partitions.some(({ name }) => node.partitions.includes(name));

/** A reserved node is for the jobs of its reservation alone, and these run on no other; `ours` are the nodes of ours, if we have one. */
export const isOpen = (
  { name, isReserved }: Pick<NodeLine, 'name' | 'isReserved'>,
  ours: ReadonlySet<string> | undefined,
): boolean => (ours === undefined ? !isReserved : ours.has(name));

/**
 * Neither nodes that are down or drained count nor partitions that take no jobs. What our own jobs have stays usable: the
 * gateway knows of those.
 */
export function capacityOf(
  nodes: readonly NodeLine[],
  queue: readonly QueueLine[],
  partitions: readonly PartitionLine[],
): Capacity {
  const chosen = partitions.filter(takesJobs);
  const up = nodes.filter((node) => node.isUp && isIn(node, chosen));
  const running = queue.filter(isRunning);
  const total = (count: (node: NodeLine) => number): number => sum(up.map(count));
  const ours = (count: (line: QueueLine) => number): number => sum(running.map(count));
  const [cpus, memoryBytes] = [total((node) => node.cpus), total((node) => node.memoryBytes)];
  const gpus = total((node) => node.gpus);
  const queues = chosen.map((one) =>
    queueOf(
      one,
      up.filter((node) => isIn(node, [one])),
    ),
  );
  const times = queues.map(({ maxWalltimeMs }) => maxWalltimeMs);
  return {
    cpus,
    memoryBytes,
    gpus,
    usableCpus: cpus - total((node) => node.allocatedCpus) + ours(cpusOf),
    usableMemoryBytes:
      memoryBytes - total((node) => node.allocatedMemoryBytes) + ours((line) => line.memoryBytes),
    usableGpus: gpus - total((node) => node.allocatedGpus) + ours((line) => line.gpus),
    maxNodes: Math.max(1, ...queues.map(({ maxNodes }) => maxNodes)),
    maxWalltimeMs: times.includes(0) ? 0 : Math.max(0, ...times),
    queues,
  };
}

/** One that is suspended keeps its memory, and others have its cores. */
const cpusOf = (line: QueueLine): number => (isSuspended(line) ? 0 : line.cpus);

function queueOf(
  { name, maxWalltimeMs, maxNodes, isDefault }: PartitionLine,
  up: readonly NodeLine[],
): Queue {
  const largest = (count: (node: NodeLine) => number): number => Math.max(0, ...up.map(count));
  const totalCpus = sum(up.map(({ cpus }) => cpus));
  return {
    name,
    maxWalltimeMs,
    maxCpus: 0,
    maxNodes: maxNodes === 0 ? up.length : Math.min(maxNodes, up.length),
    cpusPerNode: largest(({ cpus }) => cpus),
    memoryPerNodeBytes: largest(({ memoryBytes }) => memoryBytes),
    totalCpus,
    freeCpus: totalCpus - sum(up.map(({ allocatedCpus }) => allocatedCpus)),
    // Whichever node a job gets: a feature of some is none of the queue.
    features:
      up[0]?.features.filter((one) => up.every(({ features }) => features.includes(one))) ?? [],
    isDefault,
    gpusPerNode: largest(({ gpus }) => gpus),
    gpuModels: [...new Set(up.flatMap(({ gpuModels }) => gpuModels))],
    kinds: kindsOf(
      up.map(({ cpus, allocatedCpus, memoryBytes, gpus, gpuModels }) => ({
        cpus,
        memoryBytes,
        gpus,
        gpuModels,
        freeCpus: Math.max(0, cpus - allocatedCpus),
      })),
    ),
  };
}

type Queue = Capacity['queues'][number];

/**
 * The queue that a task is for; else the first in which it can ever run, or the first at all where there is none, which
 * then says why.
 */
export function queueFor(needs: Needs, queues: Capacity['queues']): Queue | undefined {
  const fits = (queue: Queue): boolean =>
    needs.cpus <= queue.cpusPerNode &&
    needs.memoryBytes <= queue.memoryPerNodeBytes &&
    needs.gpus <= queue.gpusPerNode &&
    (needs.gpus === 0 || hasType(queue, needs)) &&
    needs.nodes <= Math.min(queue.maxNodes, nodesFor(queue, needs)) &&
    (queue.maxWalltimeMs === 0 || needs.walltimeMs <= queue.maxWalltimeMs);
  return queues.find(({ name }) => name === needs.queue) ?? queues.find(fits) ?? queues[0];
}

const hasType = ({ gpuModels }: Pick<Queue, 'gpuModels'>, { gpuModel = '' }: Needs): boolean =>
  gpuModel === '' || gpuModels.length === 0 || hasGpuModel(gpuModels, gpuModel);

/** What Slurm calls the wanted model of GPUs in a queue, with a colon; '' for any, and where it has no names for them. */
export function gpuTypeOf({ gpuModel = '' }: Needs, queue: Queue | undefined): string {
  if (gpuModel === '') return '';
  const model = queue?.gpuModels.find((one) => hasGpuModel([one], gpuModel));
  return model === undefined ? '' : `:${model}`;
}
