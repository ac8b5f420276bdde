import { brokerMemory } from './broker-memory.ts';
import { brokerRecovery } from './broker-recovery.ts';
import { brokerRestart } from './broker-restart.ts';
import { cliStartup } from './cli-startup.ts';
import type { Figure } from './figure.ts';
import { LRMS_FIGURES } from './lrms/figures.ts';
import { noopThroughput } from './noop-throughput.ts';
import { placements } from './placements.ts';
import { roundCold, roundGrowth, roundLarge, roundWarm, why } from './rounds.ts';
import { STAGING_FIGURES } from './staging/figures.ts';
import { submitArray } from './submit-array.ts';
import { submitBatch } from './submit-batch.ts';
import { submitSingle } from './submit-single.ts';
import { submitToStart } from './submit-to-start.ts';

/** All figures, in the order of docs/benchmarks.md. */
export const FIGURES: readonly Figure[] = [
  {
    name: 'submit-to-start',
    what: 'idle grid, fork site, one job: submit sent to program started, median of 50',
    aim: 'under 250 ms',
    measure: submitToStart,
  },
  {
    name: 'noop-throughput',
    what: '1,000 no-op jobs end to end over two fork sites',
    aim: 'over 300 jobs/s',
    measure: noopThroughput,
  },
  {
    name: 'submit-batch',
    what: 'durable, authenticated submissions in batches of 100',
    aim: 'over 5,000 jobs/s',
    measure: submitBatch,
  },
  {
    name: 'submit-single',
    what: 'durable, authenticated submissions, one a call, 32 in flight',
    aim: 'over 1,000 jobs/s',
    measure: submitSingle,
  },
  {
    name: 'submit-array',
    what: 'an array of 1,000,000: submitted to acknowledged, median of 15',
    aim: 'under 1 s',
    measure: submitArray,
  },
  {
    name: 'placements',
    what: 'jobs committed to the ledger and sent to four simulated gateways: 100,000 as they start, then 100,000 that also end',
    aim: 'over 1,500 jobs/s',
    measure: placements,
  },
  {
    name: 'cli-startup',
    what: '`grid ls` on a warm machine, median of 15',
    aim: 'under 400 ms',
    measure: cliStartup,
  },
  {
    name: 'broker-recovery',
    what: 'broker with 100,000 jobs in its ledger: start to serving',
    aim: 'under 3 s',
    measure: brokerRecovery,
  },
  {
    name: 'broker-restart',
    what: 'broker with 1,000,000 queued jobs: process started to first placement',
    aim: 'under 10 s',
    measure: brokerRestart,
  },
  {
    name: 'broker-memory',
    what: 'resident memory of a broker with 1,000,000 queued jobs',
    aim: 'under 1.5 GB',
    measure: brokerMemory,
  },
  {
    name: 'round-warm',
    what: 'a round over 10^6 queued jobs in 10^3 classes, 10^3 sites, 10^4 free slots',
    aim: 'under 200 ms',
    measure: roundWarm,
  },
  {
    name: 'round-cold',
    what: 'the same with nothing remembered',
    aim: 'under 2 s',
    measure: roundCold,
  },
  {
    name: 'round-large',
    what: 'the same, warm, with 10^7 tasks in arrays and 10^4 sites',
    aim: 'under 2 s',
    measure: roundLarge,
  },
  {
    name: 'round-growth',
    what: 'a round over 10^7 tasks over one over 10^4, classes and free slots alike',
    aim: 'under 2x',
    measure: roundGrowth,
  },
  {
    name: 'why',
    what: 'the answer of `grid why` with 10^6 queued jobs and 10^3 sites that are all full',
    aim: 'under 500 ms',
    measure: why,
  },
  ...STAGING_FIGURES,
  ...LRMS_FIGURES,
];
