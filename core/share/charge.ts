import type { Need } from '../match/need.ts';

/** What counts as how many cpus. */
export interface ShareWeights {
  /** Memory that comes with a cpu; who takes more pays for as many cpus as that memory belongs to. */
  readonly memoryBytesPerCpu: number;
  /** Cpus that a GPU counts as, beside the cpus asked for. */
  readonly cpusPerGpu: number;
}

export const DEFAULT_WEIGHTS: ShareWeights = { memoryBytesPerCpu: 4 * 2 ** 30, cpusPerGpu: 10 };

/** What a task takes from a site, as cpus: the more of its cpus and its memory, and its GPUs besides. */
export const weighedCpus = (need: Need, weights: ShareWeights): number =>
  Math.max(need.cpus, need.memoryBytes / weights.memoryBytesPerCpu) +
  need.gpus * weights.cpusPerGpu;
