import { describe, expect, test } from 'vitest';
import { dn, voName } from '../../../core/ids.ts';
import { balanceOf } from '../../../core/simulate/balance.ts';
import { measure, slowdownOf } from '../../../core/simulate/measure.ts';
import { quantile, spreadOf } from '../../../core/simulate/statistics.ts';
import type { EndedAttempt, History, SimJob, World } from '../../../core/simulate/world.ts';
import { draftsOf, HOUR_MS, simSite, streamOf, worldOf } from '../../fakes/sim-world.ts';

/** A run by hand: hours. */
const run = (
  job: SimJob,
  from: number,
  to: number,
  details: Partial<EndedAttempt> = {},
): EndedAttempt => ({
  job,
  ordinal: 0,
  site: 'hub' as EndedAttempt['site'],
  startMs: from * HOUR_MS,
  endMs: to * HOUR_MS,
  ended: 'done',
  last: true,
  ...details,
});

const history = (attempts: readonly EndedAttempt[]): History => ({
  attempts,
  rounds: 3,
  placements: attempts.length,
  endMs: Math.max(...attempts.map(({ endMs }) => endMs)),
});

const worldWith = (users: readonly string[], details: Partial<World> = {}): World =>
  worldOf([simSite('hub', 2)], draftsOf(users.map((user) => streamOf({ user }))), details);

const job = (world: World, index: number): SimJob => world.jobs[index] as SimJob;

test('a spread has mean, nearest ranks and the largest', () => {
  const values = Array.from({ length: 100 }, (_, index) => 100 - index);
  expect(spreadOf(values)).toEqual({ mean: 50.5, median: 50, p95: 95, max: 100 });
  expect(spreadOf([])).toEqual({ mean: 0, median: 0, p95: 0, max: 0 });
  expect([quantile([1, 2], 0), quantile([1, 2], 1)]).toEqual([1, 2]);
});

describe('measures', () => {
  test('of two tasks by hand', () => {
    const world = worldWith(['ada', 'bob']);
    const made = history([run(job(world, 0), 0, 1), run(job(world, 1), 1, 3)]);
    expect(measure('p', world, made)).toMatchObject({
      policy: 'p',
      jobs: 2,
      tasks: 2,
      done: 2,
      failed: 0,
      killed: 0,
      unfinished: 0,
      waitMs: { mean: HOUR_MS / 2, max: HOUR_MS },
      slowdown: { mean: 1.25, max: 1.5 },
      utilisation: 0.5,
      wasted: 0,
      doneTasksPerHour: 2 / 3,
      makespanMs: 3 * HOUR_MS,
      rounds: 3,
    });
  });

  test('count a failed attempt as used but wasted, and the wait until the last one', () => {
    const world = worldWith(['ada']);
    const failed = run(job(world, 0), 0, 1, { ended: 'failed', last: false });
    const made = history([failed, run(job(world, 0), 2, 3)]);
    expect(measure('p', world, made)).toMatchObject({
      done: 1,
      failed: 0,
      waitMs: { max: 2 * HOUR_MS },
      utilisation: 2 / 6,
      wasted: 0.5,
    });
  });

  test('leave out what outages took away, overlaps once', () => {
    const outage = (from: number, to: number, kind: 'outage' | 'drain' = 'outage') => ({
      kind,
      fromMs: from * HOUR_MS,
      toMs: to * HOUR_MS,
    });
    const outages = [outage(2, 4), outage(1, 3), outage(9, 99), outage(5, 6, 'drain')];
    const world = { ...worldWith(['ada']), sites: [simSite('hub', 2, { outages })] };
    const made = history([run(job(world, 0), 0, 1), run(job(world, 0), 4, 10)]);
    // 10 hours without 3 and 1, times 2 cpus; 7 cpu-hours in use.
    expect(measure('p', world, made).utilisation).toBeCloseTo(7 / 12);
  });

  test('bound the slowdown of short runs by ten seconds', () => {
    const world = worldWith(['ada']);
    const second = 1 / 3_600;
    expect(slowdownOf(run(job(world, 0), 30 * second, 31 * second))).toBeCloseTo(3.1);
    expect(slowdownOf(run(job(world, 0), second, 2 * second))).toBe(1);
  });
});

describe('the balance', () => {
  const shareOf = (world: World, attempts: readonly EndedAttempt[]) =>
    balanceOf(history(attempts), world.jobs, world.shares);

  test('is even where two users who want the same get the same', () => {
    const world = worldWith(['ada', 'bob']);
    const { users, userError, voError } = shareOf(world, [
      run(job(world, 0), 0, 1),
      run(job(world, 1), 0, 1),
    ]);
    expect(users).toMatchObject([
      { name: 'demo ada', target: 0.5, received: 0.5 },
      { name: 'demo bob', target: 0.5, received: 0.5 },
    ]);
    expect([userError, voError]).toEqual([0, 0]);
  });

  test('follows weights: who got a half and should have had three quarters lacks a quarter', () => {
    const streams = ['ada', 'bob'].map((user) => streamOf({ user, array: 9 }));
    const node = [voName('demo'), '/demo', dn('/CN=ada')] as const;
    const world = worldOf([simSite('hub', 2)], draftsOf(streams), {
      shares: [{ node, weight: 3, runningCpus: undefined }],
    });
    const { users, userError } = shareOf(world, [
      run(job(world, 0), 0, 1),
      run(job(world, 1), 0, 1),
    ]);
    expect(users).toMatchObject([
      { target: 0.75, received: 0.5 },
      { target: 0.25, received: 0.5 },
    ]);
    expect(userError).toBeCloseTo(0.25);
  });

  test('gives nobody a target above what was wanted: the rest is for the others', () => {
    const streams = [streamOf({ user: 'ada' }), streamOf({ user: 'bob', array: 3 })];
    const world = worldOf([simSite('hub', 4)], draftsOf(streams));
    const four = [
      run(job(world, 0), 0, 1),
      ...[0, 1, 2].map((ordinal) => run(job(world, 1), 0, 1, { ordinal })),
    ];
    expect(shareOf(world, four).userError).toBe(0);
  });

  test('splits among VOs first, however many users each has', () => {
    const streams = ['a1', 'a2', 'a3', 'b1'].map((user) =>
      streamOf({ user, vo: voName(user.slice(0, 1)), group: `/${user.slice(0, 1)}`, array: 9 }),
    );
    const world = worldOf([simSite('hub', 4)], draftsOf(streams));
    const attempts = world.jobs.map((one) => run(one, 0, 1));
    const { vos, voError } = shareOf(world, attempts);
    expect(vos).toMatchObject([
      { name: 'a', target: 0.5, received: 0.75 },
      { name: 'b', target: 0.5, received: 0.25 },
    ]);
    expect(voError).toBeCloseTo(0.25);
  });

  test('has the mean wait of each', () => {
    const world = worldWith(['ada', 'bob']);
    const { vos, users } = shareOf(world, [run(job(world, 0), 1, 2), run(job(world, 1), 3, 4)]);
    expect(users.map(({ meanWaitMs }) => meanWaitMs / HOUR_MS)).toEqual([1, 3]);
    expect(vos.map(({ meanWaitMs }) => meanWaitMs / HOUR_MS)).toEqual([2]);
  });

  test('has a course in equal parts that ends at the whole', () => {
    const world = worldWith(['ada']);
    const [part] = shareOf(world, [run(job(world, 0), 0, 2)]).users;
    expect(part?.course).toHaveLength(120);
    expect(part?.course[59]?.received).toBeCloseTo(HOUR_MS);
    expect(part?.course.at(-1)?.received).toBeCloseTo(2 * HOUR_MS);
  });
});
