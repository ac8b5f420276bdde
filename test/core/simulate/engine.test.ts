import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { voName } from '../../../core/ids.ts';
import { openAgenda } from '../../../core/simulate/agenda.ts';
import { cpusOf, measure } from '../../../core/simulate/measure.ts';
import type { EndedAttempt, Outage } from '../../../core/simulate/world.ts';
import { askFor } from '../../fakes/offers.ts';
import { draftsOf, HOUR_MS, historyOf, simSite, streamOf, worldOf } from '../../fakes/sim-world.ts';

const hours = (attempts: readonly EndedAttempt[]): readonly string[] =>
  attempts.map(
    ({ site, startMs, endMs, ended }) => `${site} ${startMs / HOUR_MS}-${endMs / HOUR_MS} ${ended}`,
  );
const inHours = (fixed: number) => ({ kind: 'fixed', ms: fixed * HOUR_MS }) as const;
const resources = (details: Partial<ReturnType<typeof askFor>['resources']>) => ({
  ...streamOf().resources,
  ...details,
});

describe('a task', () => {
  test('runs as long as its work takes at the speed of the site', () => {
    const world = worldOf([simSite('fast', 1, { speed: 4 })], draftsOf([streamOf()]));
    expect(hours(historyOf(world).attempts)).toEqual(['fast 0-0.25 done']);
  });

  test('is killed at its walltime', () => {
    const stream = streamOf({ runtime: inHours(3), resources: resources({ walltimeMs: HOUR_MS }) });
    const history = historyOf(worldOf([simSite('hub', 1)], draftsOf([stream])));
    expect(hours(history.attempts)).toEqual(['hub 0-1 killed']);
  });

  test('without a walltime is never killed, not even at a slow site', () => {
    const stream = streamOf({ count: 50, runtime: { kind: 'exp', meanMs: HOUR_MS } });
    const world = worldOf([simSite('slow', 4, { speed: 0.1 })], draftsOf([stream], 1, 0.1));
    expect(new Set(historyOf(world).attempts.map(({ ended }) => ended))).toEqual(new Set(['done']));
  });

  test('of a site that always fails is tried five times more and then given up', () => {
    const history = historyOf(worldOf([simSite('bad', 1, { failure: 1 })], draftsOf([streamOf()])));
    expect(history.attempts.map(({ ended, last }) => [ended, last])).toEqual([
      ...Array.from({ length: 5 }, () => ['failed', false]),
      ['failed', true],
    ]);
    for (const { startMs, endMs } of history.attempts)
      expect(endMs - startMs).toBeLessThan(HOUR_MS);
  });

  test('that a site has failed goes elsewhere', () => {
    const sites = [simSite('a-bad', 1, { failure: 1 }), simSite('good', 1)];
    const { attempts } = historyOf(worldOf(sites, draftsOf([streamOf()])));
    expect(attempts.map(({ site, ended }) => `${site} ${ended}`)).toEqual([
      'a-bad failed',
      'good done',
    ]);
  });

  test('that no site can take is left waiting, and the simulation ends', () => {
    const stream = streamOf({ resources: resources({ cpus: 9 }) });
    const world = worldOf([simSite('hub', 8)], draftsOf([stream, streamOf()]));
    const { unfinished, done } = measure('p', world, historyOf(world));
    expect([unfinished, done]).toEqual([1, 1]);
  });
});

describe('a site', () => {
  test('keeps a backlog in the order of arrival', () => {
    const streams = [1, 2, 3, 4].map((nth) =>
      streamOf({
        user: `u${nth}`,
        arrival: { kind: 'at', atMs: nth * 60_000 },
        runtime: inHours(1),
      }),
    );
    const world = worldOf([simSite('hub', 1, {}, { backlog: 10 })], draftsOf(streams));
    const { attempts } = historyOf(world);
    expect(attempts.map(({ job }) => job.ask.owner)).toEqual([
      '/CN=u1',
      '/CN=u2',
      '/CN=u3',
      '/CN=u4',
    ]);
    // Without gaps: what is in the backlog starts without a round.
    for (const [index, run] of attempts.slice(1).entries())
      expect(run.startMs).toBe(attempts[index]?.endMs);
  });

  test('has the backlog of the policy where that says so', () => {
    const world = worldOf(
      [simSite('a', 1, {}, { backlog: 3 }), simSite('b', 1)],
      draftsOf([streamOf({ array: 4 })]),
    );
    const without = historyOf(world, { backlog: 0 });
    expect(measure('p', world, without).makespanMs).toBeCloseTo(2 * HOUR_MS, -4);
    expect(historyOf(world, { backlog: 3 }).rounds).toBe(1);
  });

  const away = (kind: Outage['kind'], from: number, to: number): Outage => ({
    kind,
    fromMs: from * HOUR_MS,
    toMs: to * HOUR_MS,
  });

  test('in an outage loses what it runs and takes it again afterwards', () => {
    const site = simSite('hub', 1, { outages: [away('outage', 0.5, 2)] });
    const history = historyOf(worldOf([site], draftsOf([streamOf()])));
    expect(hours(history.attempts)).toEqual(['hub 0-0.5 lost', 'hub 2-3 done']);
  });

  test('that is drained ends what it has, backlog and all, and takes nothing new', () => {
    const site = simSite('hub', 1, { outages: [away('drain', 0.5, 4)] }, { backlog: 1 });
    const history = historyOf(worldOf([site], draftsOf([streamOf({ array: 3 })])));
    expect(hours(history.attempts)).toEqual(['hub 0-1 done', 'hub 1-2 done', 'hub 4-5 done']);
  });

  test('is back only when all its outages are over', () => {
    const outages = [away('outage', 0.5, 2), away('outage', 1, 3)];
    const history = historyOf(worldOf([simSite('hub', 1, { outages })], draftsOf([streamOf()])));
    expect(hours(history.attempts)).toEqual(['hub 0-0.5 lost', 'hub 3-4 done']);
  });
});

describe('a simulation', () => {
  test('can be cut short', () => {
    const world = worldOf([simSite('hub', 2)], draftsOf([streamOf({ array: 9 })]), {
      untilMs: 1.5 * HOUR_MS,
    });
    const history = historyOf(world);
    expect(history.endMs).toBe(1.5 * HOUR_MS);
    expect(history.attempts.filter(({ ended }) => ended === 'running')).toHaveLength(2);
    expect(measure('p', world, history)).toMatchObject({ done: 2, unfinished: 7, utilisation: 1 });
  });

  test('holds no two rounds within the interval', () => {
    const stream = streamOf({ arrival: { kind: 'every', everyMs: 100 }, count: 200 });
    const world = worldOf([simSite('hub', 500)], draftsOf([stream]));
    expect(historyOf(world, { roundIntervalMs: 1_000 }).rounds).toBe(21);
  });

  test('reports how far it is', () => {
    const stream = streamOf({ arrival: { kind: 'every', everyMs: HOUR_MS }, count: 4_000 });
    const world = worldOf([simSite('hub', 1)], draftsOf([stream]));
    const seen: number[] = [];
    historyOf(world, {}, ({ doneTasks }) => seen.push(doneTasks));
    expect(seen.length).toBeGreaterThan(3);
    expect(seen).toEqual(seen.toSorted((a, b) => a - b));
  });
});

const worlds = fc
  .record({
    sites: fc.array(
      fc.record({
        cpus: fc.integer({ min: 1, max: 8 }),
        backlog: fc.integer({ min: 0, max: 3 }),
        speed: fc.constantFrom(0.5, 1, 2),
        failure: fc.constantFrom(0, 0, 0.3),
        from: fc.integer({ min: 0, max: 10 }),
        kind: fc.constantFrom<Outage['kind']>('outage', 'drain'),
      }),
      { minLength: 1, maxLength: 4 },
    ),
    streams: fc.array(
      fc.record({
        user: fc.constantFrom('ada', 'bob', 'cleo'),
        vo: fc.constantFrom('x', 'y'),
        cpus: fc.integer({ min: 1, max: 4 }),
        array: fc.integer({ min: 1, max: 20 }),
        atMs: fc.integer({ min: 0, max: 8 * HOUR_MS }),
      }),
      { minLength: 1, maxLength: 6 },
    ),
    seed: fc.integer({ min: 0, max: 1_000 }),
  })
  .map(({ sites, streams, seed }) =>
    worldOf(
      sites.map(({ cpus, backlog, from, kind, ...rest }, index) =>
        simSite(
          `s-${index}`,
          cpus,
          { ...rest, outages: [{ kind, fromMs: from * HOUR_MS, toMs: (from + 1) * HOUR_MS }] },
          { backlog },
        ),
      ),
      draftsOf(
        streams.map(({ user, vo, cpus, array, atMs }) =>
          streamOf({
            user,
            vo: voName(vo),
            group: `/${vo}`,
            array,
            arrival: { kind: 'at', atMs },
            runtime: { kind: 'exp', meanMs: HOUR_MS / 2 },
            resources: resources({ cpus, walltimeMs: 2 * HOUR_MS }),
          }),
        ),
        seed,
      ),
      { seed },
    ),
  );

describe('whatever the world', () => {
  test('no site runs more than it has, and nothing while it is away', () => {
    fc.assert(
      fc.property(worlds, (world) => {
        const { attempts } = historyOf(world);
        for (const { offer, outages } of world.sites) {
          const here = attempts.filter(({ site }) => site === offer.site);
          for (const { startMs } of here) {
            const now = here.filter((run) => run.startMs <= startMs && startMs < run.endMs);
            const used = now.reduce((sum, run) => sum + cpusOf(run), 0);
            expect(used).toBeLessThanOrEqual(offer.totalCpus);
          }
          const lost = outages.filter(({ kind }) => kind === 'outage');
          for (const { fromMs, toMs } of lost)
            expect(here.filter((run) => run.endMs > fromMs && run.startMs < toMs)).toEqual([]);
        }
      }),
      { numRuns: 200 },
    );
  });

  test('every task that fits somewhere ends once, and none starts before it was submitted', () => {
    fc.assert(
      fc.property(worlds, (world) => {
        const { attempts } = historyOf(world);
        const most = Math.max(...world.sites.map(({ offer }) => offer.totalCpus));
        const possible = world.jobs.filter(({ ask }) => ask.resources.cpus <= most);
        const expected = possible.flatMap(({ id, runtimesMs }) =>
          runtimesMs.map((_, ordinal) => `${id}.${ordinal}`),
        );
        const ended = attempts
          .filter(({ last }) => last)
          .map((run) => `${run.job.id}.${run.ordinal}`);
        expect(ended.toSorted()).toEqual(expected.toSorted());
        for (const { job, startMs, endMs } of attempts) {
          expect(startMs).toBeGreaterThanOrEqual(job.submitAtMs);
          expect(endMs).toBeGreaterThanOrEqual(startMs);
        }
      }),
      { numRuns: 200 },
    );
  });

  test('the same world gives the same history', () => {
    fc.assert(
      fc.property(worlds, (world) => {
        expect(historyOf(world)).toEqual(historyOf(world));
      }),
      { numRuns: 50 },
    );
  });
});

test('an agenda gives what was put in by time, and in order where times are equal', () => {
  fc.assert(
    fc.property(fc.array(fc.integer({ min: 0, max: 9 })), (times) => {
      const agenda = openAgenda<number>();
      for (const [index, atMs] of times.entries()) agenda.add(atMs, index);
      const expected = [...times.keys()].toSorted((a, b) => (times[a] ?? 0) - (times[b] ?? 0));
      const taken = times.map(() => [agenda.nextMs(), agenda.take()]);
      expect(taken).toEqual(expected.map((index) => [times[index], index]));
      expect([agenda.nextMs(), agenda.take()]).toEqual([Number.POSITIVE_INFINITY, undefined]);
    }),
  );
});
