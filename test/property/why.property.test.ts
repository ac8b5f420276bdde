import fc from 'fast-check';
import { expect, test } from 'vitest';
import { siteId, voName } from '../../core/ids.ts';
import type { Resources } from '../../core/job/spec.ts';
import { adviceFor } from '../../core/match/advice.ts';
import type { Ask } from '../../core/match/ask.ts';
import { round } from '../../core/match/match.ts';
import { NO_NEED } from '../../core/match/need.ts';
import type { Offer } from '../../core/match/offer.ts';
import type { SiteView } from '../../core/match/site-view.ts';
import { verdicts } from '../../core/match/verdicts.ts';
import { type Shares, sharesFromUse } from '../../core/share/shares.ts';
import { openRules } from '../../service/expression/rules.ts';
import { askFor, offerOf, queueOf, siteOf } from '../fakes/offers.ts';
import { item, queue, snapshot } from '../fakes/round.ts';

const MIB = 2 ** 20;
const RULES = openRules();
const NAMES = ['aachen', 'bremen', 'celle'].map(siteId);
const TERMS = [
  'site.arch == "x86_64"',
  '"cuda" in site.features',
  '(site.cpus > 3 || site.price > 0.0)',
];

const siteAt = (id: string) =>
  fc
    .record({
      cpus: fc.integer({ min: 1, max: 5 }),
      busy: fc.integer({ min: 0, max: 5 }),
      memory: fc.integer({ min: 1, max: 5 }),
      gpus: fc.integer({ min: 0, max: 2 }),
      disk: fc.integer({ min: 0, max: 3 }),
      maxNodes: fc.integer({ min: 1, max: 3 }),
      seconds: fc.integer({ min: 0, max: 4 }),
      queue: fc.option(fc.integer({ min: 1, max: 4 })),
      licences: fc.integer({ min: 0, max: 2 }),
      gpuModels: fc.subarray(['a100', 'h100']),
      features: fc.subarray(['cuda']),
      arch: fc.constantFrom('x86_64', 'aarch64'),
      policy: fc.constantFrom('', '', 'job.cpus < 3', 'job.walltime_s <= 2'),
      vos: fc.constantFrom('', '', '', 'other'),
      backlog: fc.integer({ min: 0, max: 1 }),
      waiting: fc.integer({ min: 0, max: 1 }),
      status: fc.constantFrom('up', 'up', 'up', 'draining'),
      closedReason: fc.constantFrom('', '', '', 'disk full'),
    })
    .map(({ cpus, busy, memory, gpus, disk, seconds, licences, status, waiting, vos, ...rest }) => {
      const free = Math.max(0, cpus - busy);
      const { queue: width, ...offer } = rest;
      const details: Partial<Offer> = {
        ...offer,
        totalCpus: cpus,
        freeCpus: free,
        totalMemoryBytes: memory * MIB,
        freeMemoryBytes: Math.min(memory, free) * MIB,
        totalGpus: gpus,
        freeGpus: Math.min(gpus, free),
        totalDiskBytes: disk * MIB,
        freeDiskBytes: disk * MIB,
        maxWalltimeMs: seconds * 1_000,
        licences: [{ name: 'lab', total: licences, free: Math.min(licences, free) }],
        vos: vos === '' ? [] : [voName(vos)],
        queues:
          width === null
            ? []
            : [queueOf('only', { maxCpus: width, gpusPerNode: 2, gpuModels: offer.gpuModels })],
      };
      return siteOf(id, details, { status, waiting });
    });
const sites = fc.tuple(siteAt('aachen'), siteAt('bremen'), siteAt('celle'));

const asks = fc
  .record({
    cpus: fc.integer({ min: 1, max: 6 }),
    memory: fc.integer({ min: 1, max: 6 }),
    gpus: fc.constantFrom(0, 0, 0, 1, 3),
    disk: fc.constantFrom(0, 0, 0, 2, 4),
    nodes: fc.constantFrom(1, 1, 1, 2, 4),
    seconds: fc.integer({ min: 1, max: 5 }),
    licences: fc.constantFrom(0, 0, 0, 1, 3),
    gpuModel: fc.constantFrom('', 'a100'),
    terms: fc.subarray(TERMS),
    sites: fc.subarray(NAMES, { maxLength: 1 }),
    excludeSites: fc.subarray(NAMES, { maxLength: 1 }),
  })
  .map(({ terms, sites: only, excludeSites, ...want }) =>
    askFor(
      { requirements: terms.join(' && '), sites: only, excludeSites },
      {
        cpus: want.cpus,
        memoryBytes: want.memory * MIB,
        gpus: want.gpus,
        diskBytes: want.disk * MIB,
        nodes: want.nodes,
        walltimeMs: want.seconds * 1_000,
        licences: want.licences === 0 ? {} : { lab: want.licences },
        gpuModel: want.gpus === 0 ? '' : want.gpuModel,
      },
    ),
  );

const cases = fc.record({
  ask: asks,
  sites,
  cap: fc.constantFrom(undefined, undefined, 2, 8),
});
type Case = typeof cases extends fc.Arbitrary<infer T> ? T : never;

const sharesUnder = (cap: number | undefined): Shares => ({
  ...sharesFromUse([]),
  maxRunningCpus: () => cap,
});

/** Where a round puts a lone job when it has no other site than this one. */
const outcome = (ask: Ask, view: SiteView, cap: number | undefined): string => {
  const [first] = round(
    snapshot({
      nowMs: 0,
      sites: [view],
      queues: [queue('1', ask, item('j', 1))],
      shares: sharesUnder(cap),
      rules: RULES,
    }),
  ).placements;
  return (
    ['stays', 'waits there', 'starts'][
      Number(first !== undefined) + Number(first?.backlog === false)
    ] ?? ''
  );
};

/** The site on a day on which nothing else is there. */
const idle = (view: SiteView): SiteView => {
  const offer = view.offer ?? offerOf(view.id);
  return {
    ...view,
    status: 'up',
    reserved: NO_NEED,
    offer: {
      ...offer,
      closedReason: '',
      freeCpus: offer.totalCpus,
      freeMemoryBytes: offer.totalMemoryBytes,
      freeGpus: offer.totalGpus,
      freeDiskBytes: offer.totalDiskBytes,
      licences: offer.licences.map(({ name, total }) => ({ name, total, free: total })),
    },
  };
};

const startsAt = ({ sites: views, cap }: Case, ask: Ask): readonly string[] =>
  views.filter((view) => outcome(ask, view, cap) === 'starts').map(({ id }) => id);
const couldRunAt = ({ sites: views, cap }: Case, ask: Ask): readonly string[] =>
  views.filter((view) => outcome(ask, idle(view), cap) === 'starts').map(({ id }) => id);

/** All that one setting could be instead, the least change first, in the order of the settings. */
const alternatives = (ask: Ask): readonly (readonly Ask[])[] => {
  const { resources, requirements } = ask;
  const withResources = (change: Partial<Resources>): Ask => ({
    ...ask,
    resources: { ...resources, ...change },
  });
  const below = (value: number, least: number): readonly number[] =>
    Array.from({ length: Math.max(0, value - least) }, (_, index) => value - 1 - index);
  const lab = resources.licences['lab'] ?? 0;
  const wanted = TERMS.filter((term) => requirements.includes(term));
  const without = (terms: readonly string[]): Ask => ({ ...ask, requirements: terms.join(' && ') });
  return [
    below(resources.cpus, 1).map((cpus) => withResources({ cpus })),
    below(resources.memoryBytes / MIB, 1).map((mib) => withResources({ memoryBytes: mib * MIB })),
    below(resources.gpus, 0).map((gpus) =>
      withResources({ gpus, gpuModel: gpus === 0 ? '' : resources.gpuModel }),
    ),
    below(resources.diskBytes / MIB, 0).map((mib) => withResources({ diskBytes: mib * MIB })),
    below(resources.nodes, 1).map((nodes) => withResources({ nodes })),
    below(resources.walltimeMs / 1_000, 1).map((seconds) =>
      withResources({ walltimeMs: seconds * 1_000 }),
    ),
    below(lab, 0).map((count) => withResources({ licences: count === 0 ? {} : { lab: count } })),
    resources.gpuModel === '' ? [] : [withResources({ gpuModel: '' })],
    ask.sites.length === 0 ? [] : [{ ...ask, sites: [] }],
    ask.excludeSites.length === 0 ? [] : [{ ...ask, excludeSites: [] }],
    ...wanted.map((term) => [without(wanted.filter((other) => other !== term))]),
    // All of them, where leaving out one is not enough.
    [wanted.length > 1 ? without([]) : []].flat(),
  ];
};

/** What helps, if the job cannot be placed as it is: to start now where it could some day, else to run some day. */
const helpIn = (one: Case): ((ask: Ask) => readonly string[]) => {
  const isPossible = couldRunAt(one, one.ask).length > 0;
  return (ask) => (isPossible ? startsAt(one, ask) : couldRunAt(one, ask));
};
const isPlaceable = ({ sites: views, ask, cap }: Case): boolean =>
  views.some((view) => outcome(ask, view, cap) !== 'stays');

/** The least change of each setting alone that helps; of requirements all where no term alone does. */
const singles = (one: Case, help: ReturnType<typeof helpIn>): readonly Ask[] => {
  const best = alternatives(one.ask).map((asksOfOne) =>
    asksOfOne.filter((ask) => help(ask).length > 0).slice(0, 1),
  );
  const settings = best.slice(0, 10).flat();
  const terms = best.slice(10, -1).flat();
  const whole = terms.length === 0 ? best.slice(-1).flat() : [];
  return [...settings, ...terms, ...whole];
};

const advise = ({ ask, sites: views, cap }: Case) =>
  adviceFor(ask, views, RULES, { shares: sharesUnder(cap) });

const RUNS = { numRuns: 1_000 };
const TIMEOUT = { timeout: 120_000 };

test('a verdict says what trying shows, and whether waiting could help', TIMEOUT, () => {
  fc.assert(
    fc.property(cases, ({ ask, sites: views, cap }) => {
      const said = verdicts(ask, views, RULES, { shares: sharesUnder(cap) });
      for (const view of views) {
        const refusal = said.get(view.id);
        expect(refusal === undefined).toBe(outcome(ask, view, cap) !== 'stays');
        expect(refusal?.lasting === true).toBe(outcome(ask, idle(view), cap) !== 'starts');
      }
    }),
    RUNS,
  );
});

test(
  'advice is each single change that helps, at its least, with the sites where it does',
  TIMEOUT,
  () => {
    fc.assert(
      fc.property(cases, (one) => {
        const help = helpIn(one);
        const helpful = isPlaceable(one) ? [] : singles(one, help);
        const expected = helpful
          .map((ask) => ({ ask, sites: help(ask) }))
          .toSorted((a, b) => b.sites.length - a.sites.length)
          .slice(0, 5);
        const found = advise(one).filter(({ changes }) => changes.length === 1);
        expect(found.map(({ ask, sites: where }) => ({ ask, sites: where }))).toEqual(expected);
      }),
      RUNS,
    );
  },
);

test(
  'where no single change helps, two are advised exactly if some two do, and they do',
  TIMEOUT,
  () => {
    fc.assert(
      fc.property(cases, (one) => {
        const help = helpIn(one);
        fc.pre(!isPlaceable(one) && singles(one, help).length === 0);
        const changed = alternatives(one.ask).flat();
        const twice = changed.flatMap((ask) => alternatives(ask).flat());
        const found = advise(one);
        expect(found.length > 0).toBe(twice.some((ask) => help(ask).length > 0));
        for (const { ask, sites: where, changes } of found) {
          expect(changes).toHaveLength(2);
          expect(help(ask)).toEqual(where);
        }
      }),
      { numRuns: 200 },
    );
  },
);
