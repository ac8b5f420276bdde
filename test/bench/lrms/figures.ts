import type { Figure } from '../figure.ts';
import { gatewayMemory } from './gateway-memory.ts';
import { lrmsLoad } from './lrms-load.ts';
import { sandboxCost } from './sandbox-cost.ts';
import { slurmArray } from './slurm-array.ts';
import { slurmLatency } from './slurm-latency.ts';

/** What a site's batch system and sandboxes cost. */
export const LRMS_FIGURES: readonly Figure[] = [
  {
    name: 'slurm-array',
    what: '1,000 no-op tasks as an array through the grid to Slurm over the same by hand',
    aim: 'under 1.3x',
    measure: slurmArray,
  },
  {
    name: 'slurm-latency',
    what: "submitted to started on an idle Slurm, less Slurm's own",
    aim: 'at most 500 ms',
    measure: slurmLatency,
  },
  {
    name: 'lrms-load',
    what: 'commands run against Slurm while 1,000 tasks run or wait in its queue for a minute',
    aim: 'at most 0.5 /s, however many tasks',
    measure: lrmsLoad,
  },
  {
    name: 'gateway-memory',
    what: 'resident memory of a gateway with 10,000 attempts',
    aim: 'under 300 MB',
    measure: gatewayMemory,
  },
  {
    name: 'sandbox-cost',
    what: "a task's start in the strongest sandbox over a bare one",
    aim: 'at most 30 ms',
    measure: sandboxCost,
  },
];
