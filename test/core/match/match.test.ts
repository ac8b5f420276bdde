import { expect, test } from 'vitest';
import { dn, jobId, siteId } from '../../../core/ids.ts';
import type { Ask } from '../../../core/match/ask.ts';
import { type AskQueue, type QueueItem, round, type Snapshot } from '../../../core/match/match.ts';
import { NO_NEED } from '../../../core/match/need.ts';
import { askFor, NO_RULES, siteOf } from '../../fakes/offers.ts';

const ALICE = dn('/DC=org/DC=test/CN=Alice');
const BOB = dn('/DC=org/DC=test/CN=Bob');

const item = (job: string, seq: number, details: Partial<QueueItem> = {}): QueueItem => ({
  job: jobId(job),
  seq,
  firstOrdinal: 0,
  tasks: 1,
  avoid: [],
  notBeforeMs: 0,
  inputs: '',
  ...details,
});
const queue = (key: string, ask: Ask, ...items: readonly QueueItem[]): AskQueue => ({
  key,
  ask,
  items,
});
const snapshot = (details: Partial<Snapshot>): Snapshot => ({
  nowMs: 1_000,
  sites: [],
  queues: [],
  inUse: new Map(),
  rules: NO_RULES,
  limit: 1_000,
  ...details,
});
const placed = (details: Partial<Snapshot>): readonly string[] =>
  round(snapshot(details)).placements.map(
    ({ job, ordinal, site, backlog }) => `${job}.${ordinal}@${site}${backlog ? '+' : ''}`,
  );

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
  const inUse = new Map([[ALICE as string, 1]]);
  expect(placed({ sites, queues, inUse })).toEqual([
    'b.0@aachen',
    'a.0@aachen',
    'b.1@aachen',
    'a.1@aachen',
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
  expect(refusals.get('1')?.get(siteId('aachen'))).toEqual({
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
  const queues = [queue('1', askFor(), item('j', 1, { inputs }))];
  const rules = { ...NO_RULES, rank: (_ask: Ask, { freeCpus }: { freeCpus: number }) => freeCpus };
  expect(placed({ sites, queues })).toEqual(['j.0@bremen']);
  expect(placed({ sites, queues, rules })).toEqual(['j.0@aachen']);
});

test('the limit of a round is kept', () => {
  const queues = [queue('1', askFor(), item('j', 1, { tasks: 9 }))];
  expect(placed({ sites: [siteOf('aachen')], queues, limit: 2 })).toHaveLength(2);
});

const GPUS = { totalGpus: 1, freeGpus: 1, gpuModels: ['NVIDIA A100-SXM4-80GB'] };
const MATLAB = { licences: [{ name: 'matlab', total: 2, free: 1 }] };

test.each([
  ['not-in-sites', askFor({ sites: [siteId('bremen')] }), {}, {}],
  ['excluded', askFor({ excludeSites: [siteId('aachen')] }), {}, {}],
  ['vo-not-served', askFor(), { vos: ['other'] }, {}],
  ['too-many-nodes', askFor({}, { nodes: 2 }), {}, {}],
  ['too-few-cpus', askFor({}, { cpus: 5 }), {}, {}],
  ['too-little-memory', askFor({}, { memoryBytes: 9 * 2 ** 30 }), {}, {}],
  ['too-few-gpus', askFor({}, { gpus: 1 }), {}, {}],
  ['no-such-gpu', askFor({}, { gpus: 1, gpuModel: 'a10' }), GPUS, {}],
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
] as const)('a site says %s, and why', (code, ask, offer, view) => {
  const sites = [siteOf('aachen', offer as object, view as object)];
  const { placements, refusals } = round(
    snapshot({ sites, queues: [queue('1', ask, item('j', 1))] }),
  );
  expect(placements).toEqual([]);
  expect(refusals.get('1')?.get(siteId('aachen'))?.code).toBe(code);
  expect(refusals.get('1')?.get(siteId('aachen'))?.detail).not.toBe('');
});
