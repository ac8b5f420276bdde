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
