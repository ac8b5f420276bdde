import { sum } from '../../../core/sum.ts';
import type { Capacity } from '../lrms.ts';
import { kindsOf } from '../node-kinds.ts';
import { isRunning, type JobAd, type SlotAd } from './ads.ts';

/** Slots whose owner wants them, or that drain, do not count. What our own jobs have stays usable. */
export function capacityOf(slots: readonly SlotAd[], jobs: readonly JobAd[]): Capacity {
  const up = slots.filter(isUp);
  const free = up.filter(isFree);
  const running = jobs.filter(isRunning);
  const [cpus, memoryMib] = [
    sum(up.map((slot) => slot.TotalSlotCpus)),
    sum(up.map((slot) => slot.TotalSlotMemory)),
  ];
  const gpus = sum(up.map((slot) => slot.TotalSlotGPUs));
  const usable = (total: number, left: number, ours: number): number =>
    Math.min(total, left + ours);
  const largest = (of: (slot: SlotAd) => number): number => Math.max(0, ...up.map(of));
  const freeCpus = sum(free.map((slot) => slot.Cpus));
  return {
    cpus,
    memoryBytes: memoryMib * MIB,
    gpus,
    usableCpus: usable(cpus, freeCpus, sum(running.map((job) => job.RequestCpus))),
    usableMemoryBytes:
      MIB *
      usable(
        memoryMib,
        sum(free.map((slot) => slot.Memory)),
        sum(running.map((job) => job.RequestMemory)),
      ),
    usableGpus: usable(
      gpus,
      sum(free.map((slot) => slot.Gpus)),
      sum(running.map((job) => job.RequestGpus)),
    ),
    // Several nodes for one job are a matter of the parallel universe, which pools seldom have.
    maxNodes: 1,
    maxWalltimeMs: 0,
    queues: [
      {
        name: 'pool',
        maxWalltimeMs: 0,
        maxCpus: 0,
        maxNodes: 1,
        cpusPerNode: largest((slot) => slot.TotalSlotCpus),
        memoryPerNodeBytes: MIB * largest((slot) => slot.TotalSlotMemory),
        totalCpus: cpus,
        freeCpus,
        features: [],
        isDefault: true,
        gpusPerNode: largest((slot) => slot.TotalSlotGPUs),
        gpuModels: [],
        kinds: kindsOf(
          up.map((slot) => ({
            cpus: slot.TotalSlotCpus,
            memoryBytes: MIB * slot.TotalSlotMemory,
            gpus: slot.TotalSlotGPUs,
            gpuModels: [],
            freeCpus: isFree(slot) ? slot.Cpus : 0,
          })),
        ),
      },
    ],
  };
}

const MIB = 2 ** 20;
const USABLE = ['Unclaimed', 'Claimed', 'Matched', 'Preempting', 'Backfill'];

const isUp = ({ State }: SlotAd): boolean => USABLE.includes(State);

/** '' where at least one slot is up. */
export function closedReason(slots: readonly SlotAd[]): string {
  if (slots.some(isUp)) return '';
  const states = slots.map(({ Name, State }) => `${Name} is ${State}`);
  return states.length === 0
    ? 'its pool shows no slot for the grid'
    : states.slice(0, 5).join(', ');
}

/** A slot that is not to be divided is free or not as a whole. */
const isFree = ({ SlotType, State }: SlotAd): boolean =>
  SlotType === 'Partitionable' || State === 'Unclaimed' || State === 'Backfill';
