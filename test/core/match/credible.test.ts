import { expect, test } from 'vitest';
import { jobId, siteId } from '../../../core/ids.ts';
import { credible } from '../../../core/match/credible.ts';
import { round } from '../../../core/match/match.ts';
import type { Offer } from '../../../core/match/offer.ts';
import { sharesFromUse } from '../../../core/share/shares.ts';
import { askFor, NO_RULES, offerOf, queueOf, siteOf } from '../../fakes/offers.ts';

test('a usual offer stays as it is, and so does that of the largest machine', () => {
  for (const offer of [
    offerOf('aachen'),
    offerOf('frontier', {
      totalCpus: 10_000_000,
      freeCpus: 9_999_999,
      maxNodes: 9_856,
      price: 0.5,
    }),
  ])
    expect(credible(offer, offer.site)).toEqual(offer);
});

test.each<[Partial<Offer>, string]>([
  [{ freeCpus: -4 }, 'free cpus of -4'],
  [{ totalCpus: 4_294_967_295 }, 'total cpus of 4294967295'],
  [{ totalMemoryBytes: -1 }, 'total memory of -1'],
  [{ freeMemoryBytes: 2 ** 60 }, 'free memory of 1152921504606847000'],
  [{ backlog: 2 ** 31 }, 'backlog of 2147483648'],
  [{ freeGpus: Number.NaN }, 'free gpus of NaN'],
  [{ price: -1 }, 'a price of -1'],
  [{ price: Number.NaN }, 'a price of NaN'],
  [{ maxWalltimeMs: 0.5 }, 'max walltime of 0.5'],
])('%j closes the site, says why, and gets nothing', (details, doubt) => {
  const offer = credible(offerOf('aachen', details), siteId('aachen'));
  expect(offer.closedReason).toBe(`its gateway advertises ${doubt}, which cannot be`);
  const items = [
    { job: jobId('j'), seq: 1, firstOrdinal: 0, tasks: 9, avoid: [], notBeforeMs: 0, inputs: '' },
  ];
  const { placements, refusals } = round({
    nowMs: 0,
    sites: [{ ...siteOf('aachen'), offer }, siteOf('bremen')],
    queues: [{ key: '1', ask: askFor(), items }],
    shares: sharesFromUse([]),
    rules: NO_RULES,
    limit: 100,
  });
  expect(placements.map(({ site }) => site)).toEqual(Array.from({ length: 4 }, () => 'bremen'));
  expect(refusals.get('1')?.().has(offer.site)).toBe(true);
});

const many = <T>(one: T, count = 1_000_000): readonly T[] =>
  Array.from({ length: count }, () => one);
const queue = queueOf('main');
const kind = { nodes: 1, cpus: 1, memoryBytes: 1, gpus: 1, gpuModels: [], freeCpus: 1 };
test.each<[string, Partial<Offer>, string]>([
  ['queues', { queues: many(queue) }, '1000000 queues'],
  ['features', { features: many('x') }, '1000000 features'],
  ['licences', { licences: many({ name: 'x', total: 1, free: 1 }) }, '1000000 licences'],
  ['hosts', { fetchFrom: many({ host: 'x', port: 1 }, 10_001) }, '10001 hosts to fetch from'],
  [
    'features of a queue',
    { queues: [{ ...queue, features: many('x', 10_001) }] },
    'a queue with 10001 features and 0 GPU models',
  ],
  [
    'kinds of nodes of a queue',
    { queues: [{ ...queue, kinds: many(kind, 10_001) }] },
    'a queue with 10001 kinds of nodes and 0 models of their GPUs',
  ],
  [
    'models of a kind of nodes',
    { queues: [{ ...queue, kinds: [{ ...kind, gpuModels: many('x', 10_000) }] }] },
    'a queue with 1 kinds of nodes and 10000 models of their GPUs',
  ],
  [
    'a long name of a model',
    { queues: [{ ...queue, kinds: [{ ...kind, gpuModels: ['m'.repeat(5_000)] }] }] },
    'a name of 5000 characters',
  ],
  ['a long name', { modules: ['m'.repeat(5_000)] }, 'a name of 5000 characters'],
  ['a long policy', { policy: 'p'.repeat(70_000) }, 'a policy of 70000 characters'],
])('of too much (%s) nothing is kept, and the site is closed', (_, details, excess) => {
  const offer = credible(offerOf('aachen', details), siteId('aachen'));
  expect(offer.closedReason).toBe(`its gateway advertises ${excess}, which cannot be`);
  expect(JSON.stringify(offer).length).toBeLessThan(2_000);
});

test('a site may have as many modules as there are', () => {
  const offer = offerOf('aachen', { modules: many('gcc/13', 10_000) });
  expect(credible(offer, offer.site)).toEqual(offer);
});

test('no more is free than there is', () => {
  const offer = offerOf('aachen', {
    totalCpus: 4,
    freeCpus: 9,
    freeGpus: 1,
    freeDiskBytes: 2 ** 50,
  });
  expect(credible(offer, offer.site)).toMatchObject({
    freeCpus: 4,
    freeGpus: 0,
    freeDiskBytes: offer.totalDiskBytes,
  });
});

test('a site that takes the name of another one is closed, and keeps its own', () => {
  expect(credible(offerOf('bremen'), siteId('aachen'))).toMatchObject({
    site: 'aachen',
    closedReason: "its gateway calls itself 'bremen', and not aachen",
  });
});
