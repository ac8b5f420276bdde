import { expect, test } from 'vitest';
import { dn, siteId, voName } from '../../../core/ids.ts';
import type { Ask } from '../../../core/match/ask.ts';
import { round } from '../../../core/match/match.ts';
import { NO_NEED } from '../../../core/match/need.ts';
import type { Offer } from '../../../core/match/offer.ts';
import { verdicts } from '../../../core/match/verdicts.ts';
import { claimantOf, type ShareNode, sharesFromUse } from '../../../core/share/shares.ts';
import { askFor, NO_RULES, siteOf } from '../../fakes/offers.ts';
import { item, placed, queue, snapshot } from '../../fakes/round.ts';

const BOB = dn('/DC=org/DC=test/CN=Bob');

test('tasks of an array spread over the sites with the most free', () => {
  const sites = [siteOf('bremen'), siteOf('aachen')];
  const queues = [queue('1', askFor(), item('j', 1, { tasks: 3 }))];
  expect(placed({ sites, queues })).toEqual(['j.0@aachen', 'j.1@bremen', 'j.2@aachen']);
});

test('what is full takes its backlog and no more', () => {
  const sites = [siteOf('aachen', { freeCpus: 1, backlog: 2 }, { waiting: 1 })];
  const queues = [queue('1', askFor(), item('j', 1, { tasks: 9 }))];
  expect(placed({ sites, queues })).toEqual(['j.0@aachen', 'j.1@aachen+']);
});

test('what was placed and is not in the offer yet is not given away again', () => {
  const reserved = { ...NO_NEED, cpus: 3 };
  const sites = [siteOf('aachen', {}, { reserved })];
  const queues = [queue('1', askFor(), item('j', 1, { tasks: 9 }))];
  expect(placed({ sites, queues })).toEqual(['j.0@aachen']);
});

test('the owner with less in use goes first, and owners take turns', () => {
  const sites = [siteOf('aachen')];
  const queues = [
    queue('1', askFor(), item('a', 1, { tasks: 9 })),
    queue('2', askFor({ owner: BOB }), item('b', 2, { tasks: 9 })),
  ];
  const shares = sharesFromUse([{ claimant: claimantOf(askFor()), cpus: 1 }]);
  expect(placed({ sites, queues, shares })).toEqual([
    'b.0@aachen',
    'a.0@aachen',
    'b.1@aachen',
    'a.1@aachen',
  ]);
});

test('by age alone the oldest goes first, whoever asks, and nobody is capped', () => {
  const sites = [siteOf('aachen')];
  const queues = [
    queue('1', askFor(), item('a', 1, { tasks: 2 }), item('c', 3)),
    queue('2', askFor({ owner: BOB }), item('b', 2)),
  ];
  const shares = {
    ...sharesFromUse([{ claimant: claimantOf(askFor()), cpus: 99 }]),
    maxRunningCpus: ([vo]: ShareNode) => (vo === 'demo' ? 1 : undefined),
  };
  expect(placed({ sites, queues, shares, order: 'arrival' })).toEqual([
    'a.0@aachen',
    'a.1@aachen',
    'b.0@aachen',
    'c.0@aachen',
  ]);
});

test('a VO goes by its weight, and inside it one job does not wait behind a million', () => {
  const physics = { vo: voName('physics'), fqans: ['/physics'] };
  const queues = [
    queue('1', askFor(), item('a', 1, { tasks: 1_000_000 })),
    queue('2', askFor({ owner: BOB }), item('b', 2)),
    queue('3', askFor(physics), item('p', 3, { tasks: 9 })),
  ];
  const shares = { ...sharesFromUse([]), weight: ([vo]: ShareNode) => (vo === 'physics' ? 2 : 1) };
  expect(
    placed({ sites: [siteOf('aachen', { freeCpus: 6, totalCpus: 6 })], queues, shares }),
  ).toEqual(['a.0', 'p.0', 'p.1', 'b.0', 'p.2', 'p.3'].map((task) => `${task}@aachen`));
});

test('a claimant at its cap is refused with both values, and others go on', () => {
  const queues = [
    queue('1', askFor({}, { cpus: 2 }), item('a', 1, { tasks: 9 })),
    queue('2', askFor({ owner: BOB }), item('b', 2)),
  ];
  const shares = {
    ...sharesFromUse([{ claimant: claimantOf(askFor()), cpus: 1 }]),
    maxRunningCpus: (node: ShareNode) => (node[2] === askFor().owner ? 4 : undefined),
  };
  const sites = [siteOf('aachen', { freeCpus: 9, totalCpus: 9 })];
  const { placements, refusals } = round(snapshot({ sites, queues, shares }));
  expect(placements.map(({ job }) => job)).toEqual(['b', 'a']);
  expect(refusals.get('1')?.().get(siteId('aachen'))).toEqual({
    code: 'quota-reached',
    detail: 'needs 2 cpus, /DC=org/DC=test/CN=Alice runs 3 of at most 4',
    lasting: false,
  });
  expect([
    ...verdicts(askFor({}, { cpus: 5 }), sites, NO_RULES, { shares }).values(),
  ]).toMatchObject([{ code: 'quota-reached', lasting: true }]);
});

const run = (endsByMs: number, cpus: number) => ({
  endsByMs,
  need: { ...NO_NEED, cpus, memoryBytes: 2 ** 30 },
});
const WIDE = queue('1', askFor({}, { cpus: 4 }), item('wide', 1));
const small = (walltimeMs: number) =>
  queue('2', askFor({ owner: BOB }, { walltimeMs }), item('small', 2, { tasks: 9 }));
const busy = siteOf('aachen', { freeCpus: 2 }, { runs: [run(9_000, 1), run(5_000, 1)] });

test('what needs more than one task gives back gets room by the time that enough ends', () => {
  const { reservations } = round(snapshot({ sites: [busy], queues: [WIDE, small(9_999)] }));
  expect(reservations).toMatchObject([
    { key: '1', job: 'wide', ordinal: 0, site: 'aachen', fromMs: 9_000, spare: { cpus: 0 } },
  ]);
});

test('others fill what is kept only for as long as it is not needed', () => {
  expect(placed({ sites: [busy], queues: [WIDE, small(8_000)] })).toEqual([
    'small.0@aachen',
    'small.1@aachen',
  ]);
  expect(placed({ sites: [busy], queues: [WIDE, small(9_001)] })).toEqual([]);
  const queues = [WIDE, small(9_001)];
  const { refusals, reservations } = round(snapshot({ sites: [busy], queues }));
  const words = {
    code: 'site-reserved',
    detail: 'what is free is kept for a larger task in 8.0 s, this one may run for 9.0 s',
  };
  expect(refusals.get('2')?.().get(siteId('aachen'))).toMatchObject(words);
  const said = verdicts(small(9_001).ask, [busy], NO_RULES, { nowMs: 1_000, reservations });
  expect(said.get(siteId('aachen'))).toMatchObject(words);
  expect(verdicts(WIDE.ask, [siteOf('aachen')], NO_RULES, { key: '1', reservations })).toEqual(
    new Map([['aachen', undefined]]),
  );
});

test('what is free beside the room that is kept may be had for as long as one likes', () => {
  const sites = [siteOf('aachen', { totalCpus: 5, freeCpus: 3 }, { runs: [run(5_000, 2)] })];
  expect(placed({ sites, queues: [WIDE, small(99_999)] })).toEqual(['small.0@aachen']);
});

test('a promise is kept before anybody takes a turn, and never moves to a later time', () => {
  const [promise] = round(snapshot({ sites: [busy], queues: [WIDE] })).reservations;
  const reservations = promise === undefined ? [] : [promise];
  const shares = sharesFromUse([{ claimant: claimantOf(askFor()), cpus: 99 }]);
  const later = { nowMs: 6_000, shares, reservations, queues: [WIDE, small(8_000)] };
  expect(placed({ ...later, sites: [siteOf('aachen')] })).toEqual(['wide.0@aachen']);
  const longer = siteOf('aachen', { freeCpus: 3 }, { runs: [run(99_000, 1)] });
  expect(placed({ ...later, sites: [longer] })).toEqual([]);
  expect(round(snapshot({ ...later, sites: [longer] })).reservations).toMatchObject([
    { fromMs: 9_000 },
  ]);
});

test('what one running task gives back needs no reservation, nor does what nothing known could give', () => {
  const sites = [siteOf('aachen', { freeCpus: 0 }, { runs: [run(9_000, 4)] })];
  expect(round(snapshot({ sites, queues: [WIDE] })).reservations).toEqual([]);
  const owner = [siteOf('aachen', { freeCpus: 2 }, { runs: [run(9_000, 1)] })];
  expect(round(snapshot({ sites: owner, queues: [WIDE] })).reservations).toEqual([]);
});

test('a clock that jumps ahead an hour closes a promised site to others until there is room', () => {
  const { reservations } = round(snapshot({ sites: [busy], queues: [WIDE] }));
  const nowMs = 3_601_000;
  const jumped = { nowMs, reservations, sites: [busy], queues: [WIDE, small(1_000)] };
  expect(placed(jumped)).toEqual([]);
  expect(placed({ ...jumped, sites: [siteOf('aachen')] })).toEqual(['wide.0@aachen']);
});

test('a clock that goes back an hour leaves a promised site open to what ends in time', () => {
  const { reservations } = round(snapshot({ sites: [busy], queues: [WIDE] }));
  const back = { nowMs: 1_000 - 3_600_000, reservations, sites: [busy] };
  expect(placed({ ...back, queues: [WIDE, small(3_608_000)] })).toHaveLength(2);
  expect(placed({ ...back, queues: [WIDE, small(3_609_000)] })).toEqual([]);
});

test('a quarantined site gets nothing, and one task when it is tried', () => {
  const queues = [queue('1', askFor(), item('j', 1, { tasks: 9 }))];
  const quarantined = 'it failed 5 tasks at once';
  expect(placed({ sites: [siteOf('aachen', {}, { quarantined })], queues })).toEqual([]);
  const sites = [siteOf('aachen', {}, { quarantined, probe: true })];
  const { placements, refusals } = round(snapshot({ sites, queues }));
  expect(placements).toHaveLength(1);
  expect(refusals.get('1')?.().get(siteId('aachen'))).toEqual({
    code: 'site-quarantined',
    detail: 'one task has been let in to try it: it failed 5 tasks at once',
    lasting: false,
  });
});

test('the shorter wait beats the lower price, and that the emptier site', () => {
  const queues = [queue('1', askFor(), item('j', 1))];
  const aachen = siteOf('aachen', { price: 2, expectedWaitMs: 5_000 });
  const bremen = siteOf('bremen', { price: 1, expectedWaitMs: 7_000, freeCpus: 1 });
  expect(placed({ sites: [aachen, bremen], queues })).toEqual(['j.0@bremen']);
  const celle = siteOf('celle', { price: 3, expectedWaitMs: 3_000, freeCpus: 1 });
  expect(placed({ sites: [aachen, bremen, celle], queues })).toEqual(['j.0@celle']);
  const slow = { ...celle, waitMs: () => 60_000 };
  expect(placed({ sites: [aachen, bremen, slow], queues })).toEqual(['j.0@bremen']);
});

test('a rank that is no number is the worst', () => {
  const queues = [queue('1', askFor({ rank: 'x' }), item('j', 1, { tasks: 2 }))];
  const rank = (_ask: Ask, { site }: Offer) => (site === 'aachen' ? Number.NaN : -1e300);
  const sites = [siteOf('aachen'), siteOf('bremen', { freeCpus: 1 })];
  expect(placed({ sites, queues, rules: { ...NO_RULES, rank } })).toEqual([
    'j.0@bremen',
    'j.1@aachen',
  ]);
});

test('a class that no site takes does not hold up the other jobs of its owner', () => {
  const sites = [siteOf('aachen')];
  const queues = [
    queue('1', askFor({}, { cpus: 64 }), item('wide', 1)),
    queue('2', askFor(), item('narrow', 2)),
  ];
  const { placements, refusals } = round(snapshot({ sites, queues }));
  expect(placements.map(({ job }) => job)).toEqual(['narrow']);
  expect(refusals.get('1')?.().get(siteId('aachen'))).toEqual({
    code: 'too-few-cpus',
    detail: 'needs 64 cpus, offers 4',
    lasting: true,
  });
});

test('a task keeps away from a site that failed it while another could ever do', () => {
  const avoid = [siteId('aachen')];
  const queues = [queue('1', askFor(), item('j', 1, { avoid }))];
  expect(placed({ sites: [siteOf('aachen'), siteOf('bremen')], queues })).toEqual(['j.0@bremen']);
  expect(placed({ sites: [siteOf('aachen'), siteOf('bremen', { freeCpus: 0 })], queues })).toEqual(
    [],
  );
  expect(placed({ sites: [siteOf('aachen'), siteOf('bremen', { totalCpus: 0 })], queues })).toEqual(
    ['j.0@aachen'],
  );
});

test('a task that backs off is passed over until its time', () => {
  const sites = [siteOf('aachen')];
  const queues = [queue('1', askFor(), item('later', 1, { notBeforeMs: 1_001 }), item('now', 2))];
  expect(placed({ sites, queues })).toEqual(['now.0@aachen']);
  expect(placed({ sites, queues, nowMs: 1_001 })).toEqual(['later.0@aachen', 'now.0@aachen']);
});

test('a clock that goes back an hour holds nothing up', () => {
  const queues = [queue('1', askFor(), item('j', 1, { notBeforeMs: 3_601_000 }))];
  expect(placed({ sites: [siteOf('aachen')], queues })).toEqual(['j.0@aachen']);
});

test('warm data beats an emptier site, and the rank of the job beats both', () => {
  const inputs = 'ab'.repeat(32);
  const sites = [siteOf('aachen'), siteOf('bremen', { freeCpus: 1, warmTrees: [inputs] })];
  const queues = [queue('1', askFor({ rank: 'x' }), item('j', 1, { inputs }))];
  const rules = { ...NO_RULES, rank: (_ask: Ask, { freeCpus }: { freeCpus: number }) => freeCpus };
  expect(placed({ sites, queues })).toEqual(['j.0@bremen']);
  expect(placed({ sites, queues, rules })).toEqual(['j.0@aachen']);
});

test('the limit of a round is kept', () => {
  const queues = [queue('1', askFor(), item('j', 1, { tasks: 9 }))];
  expect(placed({ sites: [siteOf('aachen')], queues, limit: 2 })).toHaveLength(2);
});

const GPUS = { totalGpus: 1, freeGpus: 1, gpuModels: ['NVIDIA A100-SXM4-80GB'] };
const DATA_ORG = [{ host: '*.org', port: 443 }];
const MATLAB = { licences: [{ name: 'matlab', total: 2, free: 1 }] };

test.each([
  ['not-in-sites', askFor({ sites: [siteId('bremen')] }), {}, {}],
  ['excluded', askFor({ excludeSites: [siteId('aachen')] }), {}, {}],
  ['vo-not-served', askFor(), { vos: ['other'] }, {}],
  ['no-account', askFor(), { accounts: [{ dn: '', fqan: '/other', denied: false }] }, {}],
  ['too-many-nodes', askFor({}, { nodes: 2 }), {}, {}],
  ['too-few-cpus', askFor({}, { cpus: 5 }), {}, {}],
  ['too-little-memory', askFor({}, { memoryBytes: 9 * 2 ** 30 }), {}, {}],
  ['too-few-gpus', askFor({}, { gpus: 1 }), {}, {}],
  ['no-such-gpu', askFor({}, { gpus: 1, gpuModel: 'a10' }), GPUS, {}],
  ['no-sandbox', askFor({ sandbox: 'cgroup' }), { features: ['sandbox:namespaces'] }, {}],
  ['no-module', askFor({ modules: ['gcc/13'] }), { modules: ['gcc/12'] }, {}],
  ['not-fetched', askFor({ fetches: ['data.org', 'data.org:8443'] }), { fetchFrom: DATA_ORG }, {}],
  ['not-fetched', askFor({ fetches: ['data.org'] }), { fetchFrom: [] }, {}],
  ['no-free-slots', askFor({ fetches: ['data.org'] }), { fetchFrom: DATA_ORG, freeCpus: 0 }, {}],
  ['no-free-slots', askFor({ fetches: ['data.org'] }), { freeCpus: 0 }, {}],
  ['no-image', askFor({ image: 'python:3.12' }), {}, {}],
  ['no-image', askFor({ image: 'a.sif' }), { containers: { runtime: 'podman', images: [] } }, {}],
  ['too-little-disk', askFor({}, { diskBytes: 101 * 2 ** 30 }), {}, {}],
  ['no-licence', askFor({}, { licences: { ansys: 1 } }), {}, {}],
  ['no-licence', askFor({}, { licences: { matlab: 3 } }), MATLAB, {}],
  ['no-free-slots', askFor({}, { licences: { matlab: 2 } }), MATLAB, {}],
  ['no-free-slots', askFor({}, { diskBytes: 2 ** 30 }), { freeDiskBytes: 0 }, {}],
  ['walltime-too-long', askFor(), { maxWalltimeMs: 60_000 }, {}],
  ['site-lost', askFor(), {}, { status: 'lost' }],
  ['site-unreachable', askFor(), {}, { status: 'unreachable' }],
  ['site-draining', askFor(), {}, { status: 'draining' }],
  ['site-closed', askFor(), { closedReason: 'disk full' }, {}],
  ['site-unknown', askFor(), {}, { offer: undefined }],
  ['no-free-slots', askFor(), { freeCpus: 0 }, {}],
] as const)('a site says %s, and why', (code, ask, offer: object, view: object) => {
  const sites = [siteOf('aachen', offer, view)];
  const { placements, refusals } = round(
    snapshot({ sites, queues: [queue('1', ask, item('j', 1))] }),
  );
  expect(placements).toEqual([]);
  expect(refusals.get('1')?.().get(siteId('aachen'))?.code).toBe(code);
  expect(refusals.get('1')?.().get(siteId('aachen'))?.detail).not.toBe('');
});

test('no more tasks of a job are placed than may be, whatever class they are of, and others go on', () => {
  const left = { left: 2 };
  const queues = [
    queue('1', askFor(), item('j', 1, { firstOrdinal: 5, tasks: 9, ...left }), item('k', 2)),
    queue('2', askFor({}, { memoryBytes: 2 ** 20 }), item('j', 1, left), item('l', 3)),
  ];
  const found = placed({ sites: [siteOf('aachen', { freeCpus: 8, totalCpus: 8 })], queues });
  expect(found.filter((task) => task.startsWith('j'))).toHaveLength(2);
  expect(found.filter((task) => !task.startsWith('j'))).toEqual(['k.0@aachen', 'l.0@aachen']);
});

test('a task that no site can take leaves the limit of its job to the others', () => {
  const left = { left: 1 };
  const queues = [
    queue('1', askFor({}, { memoryBytes: 2 ** 50 }), item('j', 1, left)),
    queue('2', askFor(), item('j', 1, { firstOrdinal: 1, tasks: 9, ...left })),
  ];
  expect(placed({ sites: [siteOf('aachen')], queues })).toEqual(['j.1@aachen']);
});
