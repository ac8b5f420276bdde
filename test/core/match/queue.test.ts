import { expect, test } from 'vitest';
import type { Ask, Rules } from '../../../core/match/ask.ts';
import type { Offer, Queue } from '../../../core/match/offer.ts';
import { queueFor, queueRefusal, requirementVerdict } from '../../../core/match/queue.ts';
import { refusalOf } from '../../../core/match/refusal.ts';
import { askFor, NO_RULES, offerOf, queueOf, siteOf } from '../../fakes/offers.ts';

const GIB = 2 ** 30;
const HOUR = 3_600_000;
const wide = { totalCpus: 64, freeCpus: 64, maxNodes: 8, cpusPerNode: 8 };
const QUEUES = [
  queueOf('short', { ...wide, maxWalltimeMs: HOUR, isDefault: true }),
  queueOf('long', { ...wide, maxWalltimeMs: 24 * HOUR, maxCpus: 16 }),
  queueOf('gpu', { ...wide, maxWalltimeMs: 4 * HOUR, gpusPerNode: 2, gpuModels: ['NVIDIA A100'] }),
];
const SITE: Partial<Offer> = {
  totalCpus: 192,
  freeCpus: 192,
  totalMemoryBytes: 999 * GIB,
  freeMemoryBytes: 999 * GIB,
  totalGpus: 16,
  maxNodes: 8,
  gpuModels: ['NVIDIA A100'],
  queues: QUEUES,
};
const offer = offerOf('hpc', SITE);

test.each<[string, Partial<Ask['resources']>, string, string]>([
  [
    'a walltime',
    { walltimeMs: 48 * HOUR },
    'queue-too-short',
    "needs 2d 0h, its nearest queue 'long' allows 1d 0h",
  ],
  [
    'cpus of one node',
    { cpus: 9 },
    'queue-too-small',
    "needs 9 cpus on a node, its nearest queue 'short' has 8",
  ],
  [
    'memory of one node',
    { memoryBytes: 9 * GIB },
    'queue-too-small',
    "needs 9 GiB on a node, its nearest queue 'short' has 8 GiB",
  ],
  [
    'a long job that is wide',
    { nodes: 3, cpus: 8, walltimeMs: 20 * HOUR },
    'queue-too-small',
    "needs 24 cpus, its nearest queue 'long' allows 16",
  ],
  [
    'a long job with GPUs',
    { gpus: 1, walltimeMs: 20 * HOUR },
    'queue-too-short',
    "needs 20h 00m, its nearest queue 'gpu' allows 4h 00m",
  ],
  [
    'GPUs of one node',
    { gpus: 3 },
    'queue-lacks-gpu',
    "needs 3 GPUs on a node, its nearest queue 'gpu' has 2",
  ],
  [
    'all cpus of the site at once',
    { nodes: 8, cpus: 12 },
    'queue-too-small',
    "needs 12 cpus on a node, its nearest queue 'short' has 8",
  ],
])(
  '%s that no queue has is refused with what the nearest lacks',
  (_what, resources, code, detail) => {
    const ask = askFor({}, resources);
    expect(queueRefusal(ask, offer)).toEqual({ code, detail });
    expect(refusalOf(ask, siteOf('hpc', SITE), NO_RULES)).toEqual({ code, detail, lasting: true });
  },
);

test('a site without queues is no question of queues', () => {
  expect(queueRefusal(askFor({}, { cpus: 99 }), offerOf('pc'))).toBeUndefined();
  expect(queueFor(askFor(), offerOf('pc'), NO_RULES)).toBeUndefined();
});

const chosen = (ask: Ask, queues: readonly Queue[], rules: Rules = NO_RULES): string | undefined =>
  queueFor(ask, offerOf('hpc', { ...SITE, queues }), rules)?.name;

test('a job goes to a queue that takes it: one with room now, then the default, then the first', () => {
  expect(chosen(askFor(), QUEUES)).toBe('short');
  expect(chosen(askFor(), QUEUES.toReversed())).toBe('short');
  expect(chosen(askFor({}, { walltimeMs: 2 * HOUR }), QUEUES)).toBe('long');
  expect(chosen(askFor({}, { gpus: 1, gpuModel: 'a100' }), QUEUES)).toBe('gpu');
  expect(chosen(askFor({}, { walltimeMs: 48 * HOUR }), QUEUES)).toBeUndefined();
  const full = QUEUES.map((queue) => ({ ...queue, freeCpus: queue.name === 'long' ? 1 : 0 }));
  expect(chosen(askFor(), full)).toBe('long');
  expect(chosen(askFor({}, { cpus: 2 }), full)).toBe('short');
});

test('requirements about the queue hold where one queue meets them, and the job goes there', () => {
  const rules: Rules = {
    ...NO_RULES,
    reads: () => ({ job: false, caller: false, queue: true, momentary: false }),
    meets: ({ requirements }, _offer, queue) => ({
      holds: queue?.name === requirements,
      reason: '',
    }),
  };
  const ask = askFor({ requirements: 'gpu' });
  expect(requirementVerdict(ask, offer, rules).holds).toBe(true);
  expect(chosen(ask, QUEUES, rules)).toBe('gpu');
  const nowhere = askFor({ requirements: 'night' });
  expect(requirementVerdict(nowhere, offer, rules).holds).toBe(false);
  expect(refusalOf(nowhere, siteOf('hpc', SITE), rules)?.code).toBe('requirements-false');
});
