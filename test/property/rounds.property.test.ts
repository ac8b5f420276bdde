import fc from 'fast-check';
import { expect, test } from 'vitest';
import { type Dn, dn, jobId, siteId, voName } from '../../core/ids.ts';
import type { Ask } from '../../core/match/ask.ts';
import { round } from '../../core/match/match.ts';
import { openRoundMemory } from '../../core/match/memory.ts';
import { needOf } from '../../core/match/need.ts';
import type { Run, SiteView } from '../../core/match/site-view.ts';
import type { AskQueue, QueueItem, Reservation, Snapshot } from '../../core/match/snapshot.ts';
import { openShareTree } from '../../core/share/share-tree.ts';
import { claimantOf, type ShareNode, type Shares, sharesFromUse } from '../../core/share/shares.ts';
import { openRules } from '../../service/expression/rules.ts';
import { askFor, NO_RULES, siteOf } from '../fakes/offers.ts';

const RULES = openRules();
const NAMES = ['aachen', 'bremen', 'celle'] as const;
const OWNERS = ['/CN=Alice', '/CN=Bob'].map(dn);

const itemOf = (job: string, seq: number, tasks: number, details: Partial<QueueItem> = {}) => ({
  job: jobId(job),
  seq,
  firstOrdinal: 0,
  tasks,
  avoid: [],
  notBeforeMs: 0,
  inputs: '',
  ...details,
});

const siteAt = (id: string) =>
  fc
    .record({
      totalCpus: fc.integer({ min: 1, max: 6 }),
      freeCpus: fc.integer({ min: 0, max: 6 }),
      backlog: fc.integer({ min: 0, max: 1 }),
      policy: fc.constantFrom('', 'caller.dn == "/CN=Alice"', 'job.cpus < 3'),
      arch: fc.constantFrom('x86_64', 'aarch64'),
      price: fc.integer({ min: 0, max: 1 }),
      expectedWaitMs: fc.constantFrom(0, 5_000),
      warmTrees: fc.subarray(['t1', 't2']),
      status: fc.constantFrom('up', 'up', 'up', 'draining'),
      quarantined: fc.constantFrom(undefined, undefined, 'it failed 5 tasks at once'),
      probe: fc.boolean(),
      runs: fc.array(fc.integer({ min: 1, max: 9 }), { maxLength: 3 }),
    })
    .map(({ status, quarantined, probe, runs, freeCpus, ...offer }): SiteView => {
      const busy = runs.map((end) => runOf(1_000 * end, askFor()));
      return siteOf(
        id,
        { ...offer, freeCpus: Math.min(freeCpus, offer.totalCpus) },
        { status, probe, runs: busy, ...(quarantined === undefined ? {} : { quarantined }) },
      );
    });
const runOf = (endsByMs: number, ask: Ask): Run => ({ endsByMs, need: needOf(ask.resources) });

const queueAt = (index: number) =>
  fc
    .record({
      owner: fc.constantFrom(...OWNERS),
      cpus: fc.integer({ min: 1, max: 5 }),
      walltimeMs: fc.constantFrom(2_000, 20_000),
      requirements: fc.constantFrom('', 'site.arch == "x86_64"', 'site.free_cpus >= 2'),
      rank: fc.constantFrom('', 'site.cpus', '-site.free_cpus', 'site.free_cpus / 0'),
      tasks: fc.integer({ min: 1, max: 3 }),
      avoid: fc.subarray(NAMES.map(siteId), { maxLength: 1 }),
      inputs: fc.constantFrom('', 't1'),
    })
    .map(({ owner, cpus, walltimeMs, requirements, rank, tasks, avoid, inputs }): AskQueue => {
      const ask = askFor({ owner, requirements, rank }, { cpus, walltimeMs });
      return {
        key: `${index}`,
        ask,
        items: [itemOf(`j${index}`, index, tasks, { avoid, inputs })],
      };
    });
const queues = fc.tuple(queueAt(0), queueAt(1), queueAt(2), queueAt(3));
const sites = fc.tuple(siteAt('aachen'), siteAt('bremen'), siteAt('celle'));

const snapshotOf = (details: Partial<Snapshot>): Snapshot => ({
  nowMs: 0,
  sites: [],
  queues: [],
  shares: sharesFromUse([]),
  rules: RULES,
  limit: 1_000,
  ...details,
});

const spoken = (result: ReturnType<typeof round>) => ({
  ...result,
  refusals: [...result.refusals].map(([key, bySite]) => [key, [...bySite()]]),
});

test('what a round remembers changes nothing, whatever has happened in between', {
  timeout: 60_000,
}, () => {
  const change = fc.record({
    sites,
    queues,
    changed: fc.subarray([...NAMES]),
    asked: fc.subarray([0, 1, 2, 3]),
  });
  fc.assert(
    fc.property(fc.array(change, { minLength: 2, maxLength: 8 }), (changes) => {
      const memory = openRoundMemory();
      const views = new Map<string, SiteView>();
      const asked = new Map<number, AskQueue>();
      let reservations: readonly Reservation[] = [];
      for (const { sites: fresh, queues: more, changed, asked: which } of changes) {
        for (const view of fresh.filter(({ id }) => changed.some((name) => name === id)))
          views.set(view.id, view);
        for (const [index, queue] of more.entries()) asked.set(index, asked.get(index) ?? queue);
        for (const index of which) asked.set(index, more[index] ?? more[0]);
        const snapshot = snapshotOf({
          sites: [...views.values()],
          queues: [...asked.values()],
          reservations,
        });
        const result = round(snapshot, memory);
        expect(spoken(result)).toEqual(spoken(round(snapshot)));
        reservations = result.reservations;
      }
    }),
    { numRuns: 200 },
  );
});

// Within an owner it may: a task that finds a place now counts, and the owner's next comes later. And a task may come to
// wait for the new site where before it had to take one that has just failed it.
test('for owners of one class of tasks of one cpu another site unplaces none', () => {
  const single = queues.map((some) =>
    some.map(({ key, ask, items }) => ({
      key,
      ask: { ...ask, owner: dn(`/CN=${key}`), resources: { ...ask.resources, cpus: 1 } },
      items: [...items].map((item) => ({ ...item, avoid: [] })),
    })),
  );
  fc.assert(
    fc.property(sites, single, ([more, ...few], some) => {
      const before = round(snapshotOf({ sites: few, queues: some })).placements;
      const after = round(snapshotOf({ sites: [more, ...few], queues: some })).placements;
      const tasks = (placed: typeof before) =>
        placed.map(({ job, ordinal }) => `${job}.${ordinal}`);
      expect(tasks(after)).toEqual(expect.arrayContaining(tasks(before)));
    }),
    { numRuns: 1_000 },
  );
});

test('no claimant gets more than its caps', () => {
  fc.assert(
    fc.property(sites, queues, fc.integer({ min: 0, max: 6 }), (views, some, most) => {
      const shares: Shares = {
        ...sharesFromUse([{ claimant: claimantOf(askFor({ owner: dn('/CN=Bob') })), cpus: 1 }]),
        maxRunningCpus: (node: ShareNode) => (node.length === 3 ? most : most + 2),
      };
      const { placements } = round(snapshotOf({ sites: views, queues: some, shares }));
      const cpusOf = (owners: readonly Dn[]): number =>
        placements
          .map(({ job }) => some.find(({ key }) => `j${key}` === job)?.ask ?? askFor())
          .filter(({ owner }) => owners.includes(owner))
          .reduce((sum, { resources }) => sum + resources.cpus, 0);
      expect(cpusOf([dn('/CN=Alice')])).toBeLessThanOrEqual(most);
      expect(cpusOf([dn('/CN=Bob')])).toBeLessThanOrEqual(Math.max(0, most - 1));
      expect(cpusOf(OWNERS)).toBeLessThanOrEqual(Math.max(0, most + 1));
    }),
  );
});

/** One site whose tasks end by the clock; a round a second. */
function openLittleGrid(totalCpus: number) {
  let running: { readonly endsByMs: number; readonly ask: Ask }[] = [];
  let reservations: readonly Reservation[] = [];
  return {
    /** Gives what has been started, by the key of its queue. */
    step: (nowMs: number, details: Partial<Snapshot>): ReadonlyMap<string, number> => {
      running = running.filter(({ endsByMs }) => endsByMs > nowMs);
      const freeCpus = running.reduce((left, { ask }) => left - ask.resources.cpus, totalCpus);
      const runs = running.map(({ endsByMs, ask }) => runOf(endsByMs, ask));
      const memoryBytes = 2 ** 40;
      const offer = {
        totalCpus,
        freeCpus,
        totalMemoryBytes: memoryBytes,
        freeMemoryBytes: memoryBytes,
      };
      const result = round(
        snapshotOf({
          nowMs,
          sites: [siteOf('aachen', offer, { runs })],
          rules: NO_RULES,
          reservations,
          ...details,
        }),
      );
      ({ reservations } = result);
      const started = new Map<string, number>();
      for (const { job } of result.placements) {
        const queue = details.queues?.find(({ items }) =>
          [...items].some((item) => item.job === job),
        );
        const { key, ask } = queue ?? { key: '', ask: askFor() };
        running.push({ endsByMs: nowMs + ask.resources.walltimeMs, ask });
        started.set(key, (started.get(key) ?? 0) + 1);
      }
      return started;
    },
  };
}

test('in ten thousand rounds of small jobs no wide one starves', { timeout: 60_000 }, () => {
  const [seeded] = fc.sample(
    fc.array(
      fc.record({ cpus: fc.integer({ min: 1, max: 3 }), seconds: fc.integer({ min: 1, max: 30 }) }),
      {
        minLength: 500,
        maxLength: 500,
      },
    ),
    { numRuns: 1, seed: 7 },
  );
  const grid = openLittleGrid(8);
  let started = 0;
  for (let n = 0; n < 10_000; n += 1) {
    const { cpus, seconds } = seeded?.[n % 500] ?? { cpus: 1, seconds: 1 };
    // Small jobs of people who have used nothing yet: they always go first.
    const small = askFor({ owner: dn(`/CN=Guest ${n}`) }, { cpus, walltimeMs: 1_000 * seconds });
    const wide = askFor({}, { cpus: 8, walltimeMs: 5_000 });
    const shares = sharesFromUse([{ claimant: claimantOf(wide), cpus: 1 }]);
    const counts = grid.step(1_000 * n, {
      shares,
      queues: [
        { key: 'wide', ask: wide, items: [itemOf(`wide-${started}`, 0, 1)] },
        { key: 'small', ask: small, items: [itemOf(`small-${n}`, 1 + n, 20)] },
      ],
    });
    started += counts.get('wide') ?? 0;
  }
  expect(started).toBeGreaterThan(100);
});

test('over many rounds what each gets converges to its weight', { timeout: 60_000 }, () => {
  const tree = openShareTree();
  const grid = openLittleGrid(40);
  const wants = [
    { vo: 'physics', group: '/physics/a', owner: '/CN=Alice', weight: 3, due: 0.75 * 0.8 },
    { vo: 'physics', group: '/physics/b', owner: '/CN=Bob', weight: 3, due: 0.75 * 0.2 },
    { vo: 'biomed', group: '/biomed', owner: '/CN=Carol', weight: 1, due: 0.25 * 0.5 },
    { vo: 'biomed', group: '/biomed', owner: '/CN=Dave', weight: 1, due: 0.25 * 0.5 },
  ].map((want) => ({
    ...want,
    ask: askFor(
      { vo: voName(want.vo), group: want.group, owner: dn(want.owner) },
      { walltimeMs: 10_000 },
    ),
  }));
  for (const { vo, weight } of wants) tree.record([voName(vo)]).weight = weight;
  tree.record([voName('physics'), '/physics/a']).weight = 4;
  const got = new Map<string, number>();
  for (let second = 0; second < 3_000; second += 1) {
    const nowMs = 1_000 * second;
    const started = grid.step(nowMs, {
      shares: tree.sharesAt(nowMs),
      queues: wants.map(({ ask, owner }, seq) => ({
        key: owner,
        ask,
        items: [itemOf(`${owner}-${second}`, seq, 1_000)],
      })),
    });
    for (const { ask, owner } of wants) {
      const tasks = started.get(owner) ?? 0;
      tree.addEnded(tree.leafOf(ask), 10 * tasks, nowMs, nowMs);
      got.set(owner, (got.get(owner) ?? 0) + tasks);
    }
  }
  const all = [...got.values()].reduce((sum, tasks) => sum + tasks, 0);
  expect(all).toBe(40 * 300);
  for (const { owner, due } of wants)
    expect(Math.abs((got.get(owner) ?? 0) / all / due - 1)).toBeLessThan(0.05);
});
