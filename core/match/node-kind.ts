import type { Resources } from '../job/spec.ts';
import { counted, formatBytes } from '../units.ts';
import { hasGpuModel } from './gpu-model.ts';
import type { NodeKind, Queue } from './offer.ts';

/** What a task needs of each of its nodes. */
export type NodeNeeds = Pick<Resources, 'cpus' | 'memoryBytes' | 'gpus'> &
  Partial<Pick<Resources, 'gpuModel'>>;

const orAny = (there: number): number => (there === 0 ? Infinity : there);

/** Whether a node of the kind has all that a task needs of one. */
const suitsOn = (kind: NodeKind, { cpus, memoryBytes, gpus, gpuModel = '' }: NodeNeeds): boolean =>
  cpus <= orAny(kind.cpus) &&
  memoryBytes <= orAny(kind.memoryBytes) &&
  gpus <= kind.gpus &&
  (gpuModel === '' || kind.gpuModels.length === 0 || hasGpuModel(kind.gpuModels, gpuModel));

/** How many nodes of a queue have all that a task needs of one; any number where all are alike, or not known. */
export function nodesFor({ kinds }: Pick<Queue, 'kinds'>, needs: NodeNeeds): number {
  if (kinds.length === 0) return Infinity;
  return kinds.reduce((sum, kind) => (suitsOn(kind, needs) ? sum + kind.nodes : sum), 0);
}

/** Cores that are free on the nodes of a queue that have all that a task needs of one. */
export function freeCpusFor(
  { kinds, freeCpus }: Pick<Queue, 'kinds' | 'freeCpus'>,
  needs: NodeNeeds,
): number {
  if (kinds.length === 0) return freeCpus;
  return kinds.reduce((sum, kind) => (suitsOn(kind, needs) ? sum + kind.freeCpus : sum), 0);
}

/** How many of such nodes a task asks for: `3 nodes with 8 cpus and 16 GiB`. */
export function wantedNodes(asked: NodeNeeds & Pick<Resources, 'nodes'>): string {
  const { nodes, gpuModel = '' } = asked;
  const size = sizeOf({ ...asked, gpuModels: gpuModel === '' ? [] : [gpuModel] });
  return `${nodes === 1 ? 'a node' : counted(nodes, 'node')} with ${size}`;
}

const MOST_NAMED = 3;

/** What a queue has of them, and where it has none what it has instead. */
export function nodesThere(queue: Pick<Queue, 'kinds'>, needs: NodeNeeds): string {
  const there = nodesFor(queue, needs);
  if (there > 0) return `has ${there}`;
  const { kinds } = queue;
  const named = kinds.slice(0, MOST_NAMED).map(sizeOf);
  const more = kinds.length - named.length;
  const words = more > 0 ? [...named, counted(more, 'more kind')] : named;
  return `has nodes with ${words.slice(0, -1).join(', ')} or ${words.at(-1)}`;
}

/** `8 cpus and 16 GiB`, `8 cpus, 16 GiB and 1 GPU of model a100`. */
function sizeOf({ cpus, memoryBytes, gpus, gpuModels }: Omit<NodeKind, 'nodes' | 'freeCpus'>) {
  const [size, memory] = [counted(cpus, 'cpu'), formatBytes(memoryBytes)];
  if (gpus === 0) return `${size} and ${memory}`;
  const models = gpuModels.length === 0 ? '' : ` of model ${gpuModels.join('/')}`;
  return `${size}, ${memory} and ${counted(gpus, 'GPU')}${models}`;
}
