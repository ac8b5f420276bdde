import { round } from '../../core/match/match.ts';
import { openRoundMemory } from '../../core/match/memory.ts';
import type { Measurement } from './figure.ts';
import { quantile, rounded } from './statistics.ts';
import { type GridSize, openSyntheticGrid, type SyntheticGrid } from './synthetic-grid.ts';

const MILLION_JOBS: GridSize = {
  sites: 1_000,
  freeSlots: 10_000,
  classes: 1_000,
  jobs: 1_000_000,
  tasksPerJob: 1,
};
const TEN_MILLION_TASKS: GridSize = {
  ...MILLION_JOBS,
  sites: 10_000,
  jobs: 10_000,
  tasksPerJob: 1_000,
};
const WARM_ROUNDS = 9;

/** One round from reading the queue to the decision, with all that was to be placed placed. */
function timeRound(grid: SyntheticGrid, size: GridSize, memory = openRoundMemory()): number {
  const startedMs = performance.now();
  const { placements } = round(grid.snapshot(), memory);
  const tookMs = performance.now() - startedMs;
  if (placements.length !== size.freeSlots)
    throw new Error(`${placements.length} of ${size.freeSlots} free slots were filled`);
  grid.carryOut(placements);
  grid.advertise();
  return tookMs;
}

function warmRounds(size: GridSize): readonly number[] {
  const grid = openSyntheticGrid(size);
  const memory = openRoundMemory();
  timeRound(grid, size, memory);
  return Array.from({ length: WARM_ROUNDS }, () => timeRound(grid, size, memory));
}

const inMs = (took: readonly number[], size: GridSize): Measurement => ({
  value: rounded(quantile(took, 0.5)),
  unit: 'ms',
  context: {
    tasks: size.jobs * size.tasksPerJob,
    classes: size.classes,
    sites: size.sites,
    'free slots': size.freeSlots,
    runs: took.length,
    slowest: rounded(Math.max(...took)),
  },
});

/** Every site has advertised anew since the round before, one in a hundred with other machines. */
export const roundWarm = async (): Promise<Measurement> =>
  inMs(warmRounds(MILLION_JOBS), MILLION_JOBS);

/** Nothing is remembered, as after a start of the broker. */
export async function roundCold(): Promise<Measurement> {
  const grid = openSyntheticGrid(MILLION_JOBS);
  return inMs(
    Array.from({ length: 3 }, () => timeRound(grid, MILLION_JOBS)),
    MILLION_JOBS,
  );
}

export const roundLarge = async (): Promise<Measurement> =>
  inMs(warmRounds(TEN_MILLION_TASKS), TEN_MILLION_TASKS);

/** The same classes, sites and free slots; a thousand times the tasks. */
export async function roundGrowth(): Promise<Measurement> {
  const most = { ...MILLION_JOBS, jobs: 10_000, tasksPerJob: 1_000 };
  // Ten rounds fill ten thousand slots each.
  const least = { ...MILLION_JOBS, freeSlots: 1_000, jobs: 10_000 };
  const few = quantile(warmRounds({ ...least }), 0.5);
  const many = quantile(warmRounds({ ...most, freeSlots: 1_000 }), 0.5);
  return {
    value: rounded(many / few),
    unit: 'x',
    context: { 'at 10^4 tasks': `${rounded(few)} ms`, 'at 10^7 tasks': `${rounded(many)} ms` },
  };
}

/** Answers to jobs of many classes: each waits for room, then asks for more memory than any site has. */
export async function why(): Promise<Measurement> {
  const grid = openSyntheticGrid({ ...MILLION_JOBS, freeSlots: 0 });
  const ask = (index: number, memoryBytes?: number): number => {
    const startedMs = performance.now();
    const { ahead, verdicts, advice } = grid.outlook(index, memoryBytes ? { memoryBytes } : {});
    const tookMs = performance.now() - startedMs;
    const refusals = [...verdicts.values()];
    if (refusals.length !== MILLION_JOBS.sites || refusals.includes(undefined) || ahead.tasks === 0)
      throw new Error('it is not said what keeps the job');
    const helps = advice.some(({ changes }) => changes.join().includes('memory'));
    if (helps !== (memoryBytes !== undefined)) throw new Error('the advice is not the right one');
    return tookMs;
  };
  const classes = Array.from({ length: 20 }, (_, n) => n * 37);
  const full = classes.map((index) => ask(index));
  const large = classes.map((index) => ask(index, 2 ** 50));
  return {
    value: rounded(quantile([...full, ...large], 0.5)),
    unit: 'ms',
    context: {
      jobs: MILLION_JOBS.jobs,
      sites: MILLION_JOBS.sites,
      'sites are full': rounded(quantile(full, 0.5)),
      'asks too much': rounded(quantile(large, 0.5)),
      slowest: rounded(Math.max(...full, ...large)),
    },
  };
}
