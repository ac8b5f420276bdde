import fc from 'fast-check';
import { expect, test } from 'vitest';
import { dn, jobId, siteId } from '../../core/ids.ts';
import { round } from '../../core/match/match.ts';
import { NO_NEED, needOf } from '../../core/match/need.ts';
import { freeAt } from '../../core/match/refusal.ts';
import type { AskQueue, RoundResult, Snapshot } from '../../core/match/snapshot.ts';
import { verdicts } from '../../core/match/verdicts.ts';
import { claimantOf, sharesFromUse } from '../../core/share/shares.ts';
import { askFor, NO_RULES, siteOf } from '../fakes/offers.ts';

const GIB = 2 ** 30;
const SITES = ['aachen', 'bremen', 'celle', 'danzig'] as const;

const site = fc
  .record({
    id: fc.constantFrom(...SITES),
    total: fc.integer({ min: 0, max: 8 }),
    busy: fc.integer({ min: 0, max: 8 }),
    reserved: fc.integer({ min: 0, max: 4 }),
    backlog: fc.integer({ min: 0, max: 3 }),
    waiting: fc.integer({ min: 0, max: 3 }),
    memory: fc.integer({ min: 0, max: 16 }),
    status: fc.constantFrom('up', 'up', 'up', 'draining', 'lost', 'unreachable'),
    closed: fc.constantFrom('', '', '', 'disk full'),
    warm: fc.subarray(['t1', 't2']),
  })
  .map(({ id, total, busy, reserved, memory, status, closed, warm, ...rest }) =>
    siteOf(
      id,
      {
        totalCpus: total,
        freeCpus: Math.max(0, total - busy),
        totalMemoryBytes: memory * GIB,
        freeMemoryBytes: memory * GIB,
        backlog: rest.backlog,
        closedReason: closed,
        warmTrees: warm,
      },
      { status, waiting: rest.waiting, reserved: { ...NO_NEED, cpus: reserved } },
    ),
  );
const sites = fc.uniqueArray(site, { selector: ({ id }) => id, maxLength: 4 });

const jobs = fc.array(
  fc.record({
    owner: fc.constantFrom('/CN=Alice', '/CN=Bob', '/CN=Carol'),
    cpus: fc.integer({ min: 1, max: 9 }),
    memory: fc.integer({ min: 1, max: 20 }),
    tasks: fc.integer({ min: 1, max: 5 }),
    avoid: fc.subarray([...SITES], { maxLength: 2 }),
    inputs: fc.constantFrom('', 't1', 't2'),
    wanted: fc.subarray([...SITES], { maxLength: 1 }),
  }),
  { maxLength: 12 },
);

/** Jobs with equal asks share a queue, as in the broker. */
const queues = jobs.map((list): AskQueue[] => {
  const byAsk = Map.groupBy(
    list.map((job, index) => ({ ...job, index })),
    ({ owner, cpus, memory, wanted }) => `${owner} ${cpus} ${memory} ${wanted.join()}`,
  );
  return [...byAsk].map(([key, some]) => ({
    key,
    ask: askFor(
      { owner: dn(some[0]?.owner ?? ''), sites: (some[0]?.wanted ?? []).map(siteId) },
      { cpus: some[0]?.cpus ?? 1, memoryBytes: (some[0]?.memory ?? 1) * GIB },
    ),
    items: some.map(({ index, tasks, avoid, inputs }) => ({
      job: jobId(`job-${index}`),
      seq: index,
      firstOrdinal: 0,
      tasks,
      avoid: avoid.map(siteId),
      notBeforeMs: 0,
      inputs,
    })),
  }));
});
const snapshots = fc.record({ sites, queues, bob: fc.integer({ min: 0, max: 5 }) }).map(
  ({ bob, ...rest }): Snapshot => ({
    ...rest,
    nowMs: 0,
    shares: sharesFromUse([{ claimant: claimantOf(askFor({ owner: dn('/CN=Bob') })), cpus: bob }]),
    rules: NO_RULES,
    limit: 1_000,
  }),
);

const refusalsOf = ({ refusals }: RoundResult) =>
  new Map([...refusals].map(([key, bySite]) => [key, bySite()]));

const askOfJob = (snapshot: Snapshot, job: string) =>
  snapshot.queues.find(({ items }) => [...items].some((item) => item.job === job))?.ask ?? askFor();

test('no site gets more than it offered, plus its own backlog', () => {
  fc.assert(
    fc.property(snapshots, (snapshot) => {
      const { placements } = round(snapshot);
      for (const view of snapshot.sites) {
        const there = placements.filter((placement) => placement.site === view.id);
        const now = there.filter(({ backlog }) => !backlog);
        const free = freeAt(view);
        const sum = (key: 'cpus' | 'memoryBytes'): number =>
          now.reduce((all, { job }) => all + needOf(askOfJob(snapshot, job).resources)[key], 0);
        expect(sum('cpus')).toBeLessThanOrEqual(free.cpus);
        expect(sum('memoryBytes')).toBeLessThanOrEqual(free.memoryBytes);
        const room = Math.max(0, (view.offer?.backlog ?? 0) - view.waiting);
        expect(there.length - now.length).toBeLessThanOrEqual(room);
        expect(view.status === 'up' || there.length === 0).toBe(true);
      }
    }),
  );
});

test('no task is placed twice, and none that was not asked for', () => {
  fc.assert(
    fc.property(snapshots, (snapshot) => {
      const { placements } = round(snapshot);
      const tasks = placements.map(({ job, ordinal }) => `${job}.${ordinal}`);
      const wanted = snapshot.queues.flatMap(({ items }) =>
        [...items].flatMap(({ job, tasks: count }) =>
          Array.from({ length: count }, (_, ordinal) => `${job}.${ordinal}`),
        ),
      );
      expect(new Set(tasks).size).toBe(tasks.length);
      expect(wanted).toEqual(expect.arrayContaining(tasks));
    }),
  );
});

test('every class that is left waiting has a refusal of every site', () => {
  fc.assert(
    fc.property(snapshots, (snapshot) => {
      const { placements, refusals } = round(snapshot);
      for (const { key, items } of snapshot.queues) {
        const wanted = [...items].reduce((sum, { tasks }) => sum + tasks, 0);
        const jobsHere = new Set([...items].map(({ job }) => job));
        const got = placements.filter(({ job }) => jobsHere.has(job)).length;
        const said = [...(refusals.get(key)?.().keys() ?? [])].toSorted();
        const all = snapshot.sites.map(({ id }) => id).toSorted();
        expect(got === wanted ? all : said).toEqual(all);
      }
    }),
  );
});

test('the order in which sites and queues are listed changes nothing, nor does asking again', () => {
  fc.assert(
    fc.property(snapshots, (snapshot) => {
      const turned: Snapshot = {
        ...snapshot,
        sites: snapshot.sites.toReversed(),
        queues: snapshot.queues.toReversed(),
      };
      const first = round(snapshot);
      expect(round(snapshot).placements).toEqual(first.placements);
      expect(round(turned).placements).toEqual(first.placements);
      expect(refusalsOf(round(turned))).toEqual(refusalsOf(first));
    }),
  );
});

test('a lone task is placed exactly where a site would take it, found by trying all of them', () => {
  fc.assert(
    fc.property(sites, fc.integer({ min: 1, max: 9 }), (views, cpus) => {
      const ask = askFor({}, { cpus });
      const item = { job: jobId('j'), seq: 1, firstOrdinal: 0, tasks: 1 };
      const { placements } = round({
        nowMs: 0,
        sites: views,
        shares: sharesFromUse([]),
        rules: NO_RULES,
        limit: 9,
        queues: [{ key: '1', ask, items: [{ ...item, avoid: [], notBeforeMs: 0, inputs: '' }] }],
      });
      const willing = [...verdicts(ask, views, NO_RULES)]
        .filter(([, refusal]) => refusal === undefined)
        .map(([id]) => id);
      const brute = views
        .filter(({ status, offer, waiting, ...view }) => {
          const able =
            status === 'up' &&
            offer?.closedReason === '' &&
            offer.totalCpus >= cpus &&
            offer.totalMemoryBytes >= GIB;
          const free = offer !== undefined && offer.freeCpus - view.reserved.cpus >= cpus;
          return able && (free || offer.backlog > waiting);
        })
        .map(({ id }) => id)
        .toSorted();
      expect(willing).toEqual(brute);
      expect(placements).toHaveLength(Math.min(1, brute.length));
      expect(brute).toEqual(expect.arrayContaining(placements.map((placement) => placement.site)));
    }),
  );
});
