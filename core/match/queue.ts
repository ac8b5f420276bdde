import type { Resources } from '../job/spec.ts';
import { counted, formatBytes, formatBytesBeside, formatDuration } from '../units.ts';
import type { Ask, Rules, Verdict } from './ask.ts';
import { hasGpuModel } from './gpu-model.ts';
import { needOf } from './need.ts';
import { freeCpusFor, nodesFor, nodesThere, wantedNodes } from './node-kind.ts';
import type { Offer, Queue } from './offer.ts';

/** A limit of one queue for one job. */
interface Limit {
  readonly code: 'queue-lacks-gpu' | 'queue-too-small' | 'queue-too-short';
  readonly asked: (asked: Resources) => number;
  readonly most: (queue: Queue, asked: Resources) => number;
  readonly wanted: (asked: Resources) => string;
  readonly there: (queue: Queue, asked: Resources) => string;
}

/** Why the queues of a site do not take an ask. */
export interface QueueRefusal {
  readonly code: Limit['code'];
  readonly detail: string;
}

/** 0 stands for no limit. */
const orNone = (most: number): number => (most === 0 ? Infinity : most);

const LIMITS: readonly Limit[] = [
  {
    code: 'queue-lacks-gpu',
    asked: ({ gpus }) => gpus,
    most: ({ gpusPerNode }) => gpusPerNode,
    wanted: ({ gpus }) => `${counted(gpus, 'GPU')} on a node`,
    there: ({ gpusPerNode }) => `has ${gpusPerNode}`,
  },
  {
    code: 'queue-lacks-gpu',
    asked: ({ gpuModel }) => (gpuModel === '' ? 0 : 1),
    most: ({ gpuModels }, { gpuModel }) => (hasGpuModel(gpuModels, gpuModel) ? 1 : 0),
    wanted: ({ gpuModel }) => `a GPU of model ${gpuModel}`,
    there: ({ gpuModels }) => `has ${gpuModels.join(', ') || 'none'}`,
  },
  {
    code: 'queue-too-small',
    asked: ({ nodes }) => nodes,
    most: ({ maxNodes }) => orNone(maxNodes),
    wanted: ({ nodes }) => counted(nodes, 'node'),
    there: ({ maxNodes }) => `allows ${maxNodes}`,
  },
  {
    code: 'queue-too-small',
    asked: (asked) => needOf(asked).cpus,
    most: ({ maxCpus }) => orNone(maxCpus),
    wanted: (asked) => counted(needOf(asked).cpus, 'cpu'),
    there: ({ maxCpus }) => `allows ${maxCpus}`,
  },
  {
    code: 'queue-too-small',
    asked: ({ cpus }) => cpus,
    most: ({ cpusPerNode }) => orNone(cpusPerNode),
    wanted: ({ cpus }) => `${counted(cpus, 'cpu')} on a node`,
    there: ({ cpusPerNode }) => `has ${cpusPerNode}`,
  },
  {
    code: 'queue-too-small',
    asked: ({ memoryBytes }) => memoryBytes,
    most: ({ memoryPerNodeBytes }) => orNone(memoryPerNodeBytes),
    wanted: ({ memoryBytes }) => `${formatBytes(memoryBytes)} on a node`,
    there: ({ memoryPerNodeBytes }, { memoryBytes }) =>
      `has ${formatBytesBeside(memoryPerNodeBytes, memoryBytes)}`,
  },
  {
    code: 'queue-too-small',
    asked: (asked) => needOf(asked).cpus,
    most: ({ totalCpus }) => totalCpus,
    wanted: (asked) => counted(needOf(asked).cpus, 'cpu'),
    there: ({ totalCpus }) => `has ${totalCpus}`,
  },
  // Whatever the largest of each, it has to be in one place.
  {
    code: 'queue-too-small',
    asked: ({ nodes }) => nodes,
    most: nodesFor,
    wanted: wantedNodes,
    there: nodesThere,
  },
  {
    code: 'queue-too-short',
    asked: ({ walltimeMs }) => walltimeMs,
    most: ({ maxWalltimeMs }) => orNone(maxWalltimeMs),
    wanted: ({ walltimeMs }) => formatDuration(walltimeMs),
    there: ({ maxWalltimeMs }) => `allows ${formatDuration(maxWalltimeMs)}`,
  },
];

const takes = (queue: Queue, asked: Resources): boolean =>
  LIMITS.every((limit) => limit.asked(asked) <= limit.most(queue, asked));

/**
 * Why no queue of the site takes the ask, its requirements left out: what the queue lacks that comes nearest, which is
 * the one with the fewest limits in the way and then the least to go to the first of them. Undefined where one does
 * take it, and where the site has no queues.
 */
export function queueRefusal(
  { resources }: Pick<Ask, 'resources'>,
  { queues }: Pick<Offer, 'queues'>,
): QueueRefusal | undefined {
  const misses = queues.map((queue) => {
    const failed = LIMITS.filter((limit) => limit.asked(resources) > limit.most(queue, resources));
    const [first] = failed;
    const excess = first === undefined ? 0 : first.asked(resources) / first.most(queue, resources);
    return { queue, first, failed: failed.length, excess };
  });
  const [nearest] = misses.toSorted((a, b) => a.failed - b.failed || a.excess - b.excess || 0);
  if (nearest?.first === undefined) return undefined;
  const { queue, first } = nearest;
  const detail = `needs ${first.wanted(resources)}, its nearest queue '${queue.name}' ${first.there(queue, resources)}`;
  return { code: first.code, detail };
}

/** Queues that take the ask, requirements left out: first those that can start it now, then the site's default. */
function candidates({ resources }: Ask, { queues }: Offer): readonly Queue[] {
  const { cpus } = needOf(resources);
  const order = (queue: Queue): number =>
    (freeCpusFor(queue, resources) >= cpus ? 0 : 2) + (queue.isDefault ? 0 : 1);
  return queues.filter((queue) => takes(queue, resources)).toSorted((a, b) => order(a) - order(b));
}

/** Whether the job's requirements hold at a site: in one of its queues, where it has any. */
export function requirementVerdict(ask: Ask, offer: Offer, rules: Rules): Verdict {
  if (offer.queues.length === 0 || !rules.reads('requirements', ask.requirements).queue)
    return rules.meets(ask, offer);
  let first: Verdict | undefined;
  for (const queue of candidates(ask, offer)) {
    const verdict = rules.meets(ask, offer, queue);
    if (verdict.holds) return verdict;
    first ??= verdict;
  }
  return first ?? rules.meets(ask, offer);
}

/** The queue of the site that is to have a task of the ask; undefined where the site has no queues, or none for it. */
export function queueFor(ask: Ask, offer: Offer, rules: Rules): Queue | undefined {
  if (offer.queues.length === 0) return undefined;
  return candidates(ask, offer).find((queue) => rules.meets(ask, offer, queue).holds);
}
