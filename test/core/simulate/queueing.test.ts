import { describe, expect, test } from 'vitest';
import type { Distribution } from '../../../core/simulate/distribution.ts';
import { finals, measure, waitOf } from '../../../core/simulate/measure.ts';
import { spreadOf } from '../../../core/simulate/statistics.ts';
import type { World } from '../../../core/simulate/world.ts';
import { draftsOf, HOUR_MS, historyOf, simSite, streamOf, worldOf } from '../../fakes/sim-world.ts';

// Queueing theory knows what must come out; where it does not, it knows what must not change.

const meanWait = (world: World, roundIntervalMs = 1_000): number =>
  spreadOf(finals(historyOf(world, { roundIntervalMs })).map(waitOf)).mean;

/** One site, jobs of one cpu at random, `load` of what it could do. */
const queue = (
  cpus: number,
  load: number,
  runtime: Distribution,
  { jobs, seed, meanMs = HOUR_MS }: { jobs: number; seed: number; meanMs?: number },
): World => {
  const arrival = { kind: 'poisson', perMs: (cpus * load) / meanMs } as const;
  const stream = streamOf({ arrival, count: jobs, runtime });
  return worldOf([simSite('hub', cpus)], draftsOf([stream], seed), { seed });
};

/** Erlang's C formula: the mean wait of M/M/c, in mean run times. */
function erlangWait(servers: number, load: number): number {
  const offered = servers * load;
  let term = 1;
  let sum = 1;
  for (let k = 1; k < servers; k += 1) {
    term *= offered / k;
    sum += term;
  }
  const all = ((term * offered) / servers) * (1 / (1 - load));
  return all / (sum + all) / (servers * (1 - load));
}

const EXPONENTIAL: Distribution = { kind: 'exp', meanMs: HOUR_MS };

// A busy machine may take long over so many jobs.
describe('closed forms', { timeout: 60_000 }, () => {
  test('Erlang’s formula gives the values of the tables', () => {
    expect(erlangWait(1, 0.5)).toBeCloseTo(1);
    // C(2, 1) = 1/3, C(5, 4) = 0.5541.
    expect(erlangWait(2, 0.5)).toBeCloseTo(1 / 3);
    expect(erlangWait(5, 0.8)).toBeCloseTo(0.5541, 3);
  });

  test.each([
    [1, 0.5, 50_000, 1],
    [1, 0.7, 100_000, 2],
    [2, 0.7, 80_000, 3],
    [5, 0.7, 80_000, 4],
    [20, 0.8, 100_000, 5],
  ])('M/M/%i at a load of %f waits as Erlang says, within 5 %%', (cpus, load, jobs, seed) => {
    const world = queue(cpus, load, EXPONENTIAL, { jobs, seed });
    const ratio = meanWait(world) / (erlangWait(cpus, load) * HOUR_MS);
    expect(ratio).toBeGreaterThan(0.95);
    expect(ratio).toBeLessThan(1.05);
  });

  test.each([
    [0.5, 40_000, 6],
    [0.8, 100_000, 7],
  ])('M/D/1 at a load of %f waits as Pollaczek and Khinchine say', (load, jobs, seed) => {
    const world = queue(1, load, { kind: 'fixed', ms: HOUR_MS }, { jobs, seed });
    const ratio = meanWait(world) / ((load / (2 * (1 - load))) * HOUR_MS);
    expect(ratio).toBeGreaterThan(0.95);
    expect(ratio).toBeLessThan(1.05);
  });

  test('Little’s law: jobs that wait, on average, are arrivals times waits', () => {
    const world = queue(3, 0.8, EXPONENTIAL, { jobs: 20_000, seed: 8 });
    const history = historyOf(world);
    const { waitMs, makespanMs } = measure('p', world, history);
    const waiting = history.attempts.reduce((sum, run) => sum + waitOf(run), 0) / makespanMs;
    expect(waiting).toBeCloseTo((20_000 / makespanMs) * waitMs.mean);
  });
});

describe('what must not matter, or must matter just so', () => {
  const BUSY = { jobs: 5_000, seed: 9 };

  test('halving all times halves every wait', () => {
    const slow = queue(4, 0.9, EXPONENTIAL, BUSY);
    const fast: World = {
      ...slow,
      jobs: slow.jobs.map((job) => ({
        ...job,
        submitAtMs: job.submitAtMs / 2,
        runtimesMs: job.runtimesMs.map((ms) => ms / 2),
      })),
    };
    const waits = (world: World, intervalMs: number): readonly number[] =>
      finals(historyOf(world, { roundIntervalMs: intervalMs })).map(waitOf);
    expect(waits(fast, 500)).toEqual(waits(slow, 1_000).map((wait) => wait / 2));
  });

  test('twice the speed is the same as half the run time', () => {
    const world = queue(4, 0.9, EXPONENTIAL, BUSY);
    const quick: World = { ...world, sites: [simSite('hub', 4, { speed: 2 })] };
    const short: World = {
      ...world,
      jobs: world.jobs.map((job) => ({
        ...job,
        runtimesMs: job.runtimesMs.map((ms) => ms / 2),
      })),
    };
    expect(meanWait(quick)).toBe(meanWait(short));
    expect(meanWait(quick)).toBeLessThan(meanWait(world) / 2);
  });

  test('one site of 8 cpus and eight sites of one run single tasks alike', () => {
    const world = queue(8, 0.9, EXPONENTIAL, BUSY);
    const eight = Array.from({ length: 8 }, (_, index) => simSite(`s-${index}`, 1));
    expect(meanWait({ ...world, sites: eight })).toBe(meanWait(world));
  });

  test('other names and another order of equal sites change no figure', () => {
    const world = queue(12, 0.9, EXPONENTIAL, BUSY);
    const named = (names: readonly string[]): unknown => {
      const sites = names.map((name) => simSite(name, 4, {}, { backlog: 2 }));
      return { ...measure('p', world, historyOf({ ...world, sites })), balance: 'left out' };
    };
    expect(named(['c', 'a', 'b'])).toEqual(named(['x', 'y', 'z']));
  });

  test.each([1, 2, 3, 4, 5])(
    'a further site makes nobody wait longer on average (seed %i)',
    (seed) => {
      const world = queue(6, 0.95, EXPONENTIAL, { jobs: 3_000, seed });
      const wait = (count: number): number =>
        meanWait({
          ...world,
          sites: Array.from({ length: count }, (_, index) => simSite(`s-${index}`, 2)),
        });
      const waits = [3, 4, 5, 6].map(wait);
      expect(waits).toEqual(waits.toSorted((a, b) => b - a));
      expect(waits[3]).toBeLessThan(waits[0] ?? 0);
    },
  );

  test('two users who ask for the same are served the same', () => {
    const users = ['alice', 'bob'].map((user) =>
      streamOf({ user, array: 2_000, runtime: { kind: 'exp', meanMs: HOUR_MS } }),
    );
    const world = worldOf([simSite('hub', 16)], draftsOf(users), { untilMs: 60 * HOUR_MS });
    const { balance, unfinished } = measure('p', world, historyOf(world));
    expect(unfinished).toBeGreaterThan(1_000);
    for (const { received } of balance.users) expect(Math.abs(received - 0.5)).toBeLessThan(0.01);
  });

  test('a site that nobody may use is as good as none', () => {
    const world = queue(4, 0.8, EXPONENTIAL, BUSY);
    const closed = simSite('a-closed', 100, {}, { maxWalltimeMs: 1 });
    const ratio = meanWait({ ...world, sites: [closed, ...world.sites] }) / meanWait(world);
    // There are rounds in vain, which may put off the next one by a second.
    expect(Math.abs(ratio - 1)).toBeLessThan(0.001);
  });
});
