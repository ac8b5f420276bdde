import { expect, test } from 'vitest';
import { siteId } from '../../../core/ids.ts';
import type { Ask } from '../../../core/match/ask.ts';
import type { Offer } from '../../../core/match/offer.ts';
import { verdicts } from '../../../core/match/verdicts.ts';
import { askFor, NO_RULES, siteOf } from '../../fakes/offers.ts';

const MIB = 2 ** 20;
const GIB = 2 ** 30;

test.for<[string, Partial<Ask['resources']>, Partial<Offer>, string]>([
  ['nothing free', {}, { freeCpus: 0 }, 'needs 1 cpu, 0 are free'],
  ['one free', { cpus: 2 }, { freeCpus: 1 }, 'needs 2 cpus, 1 is free'],
  ['no GPU', { gpus: 1 }, {}, 'needs 1 GPU, offers 0'],
  [
    'memory that reads alike',
    { memoryBytes: GIB },
    { totalMemoryBytes: 1000 * MIB },
    'needs 1 GiB, offers 1000 MiB',
  ],
])('%s is told in good words', ([, resources, offer, words]) => {
  const site = siteOf('aachen', { backlog: 0, ...offer });
  const refusal = verdicts(askFor({}, resources), [site], NO_RULES).get(siteId('aachen'));
  expect(refusal?.detail).toBe(words);
});

const DOWN = { closedReason: 'all nodes are down', totalCpus: 0, totalMemoryBytes: 0 };

test.for<[string, Partial<Ask>, Partial<Ask['resources']>, Partial<Offer>]>([
  ['site-closed', {}, {}, DOWN],
  ['site-closed', {}, { gpus: 1 }, DOWN],
  ['excluded', { excludeSites: [siteId('aachen')] }, {}, DOWN],
  ['site-closed', {}, {}, { closedReason: 'disk full' }],
  ['too-few-cpus', {}, { cpus: 5 }, { closedReason: 'disk full' }],
])(
  'a closed site says %s: of its size nothing while it has none',
  ([code, ask, resources, offer]) => {
    const refused = verdicts(askFor(ask, resources), [siteOf('aachen', offer)], NO_RULES);
    expect(refused.get(siteId('aachen'))?.code).toBe(code);
  },
);
