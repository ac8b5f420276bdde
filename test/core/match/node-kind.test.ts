import { expect, test } from 'vitest';
import type { Resources } from '../../../core/job/spec.ts';
import type { NodeKind } from '../../../core/match/offer.ts';
import { queueFor, queueRefusal } from '../../../core/match/queue.ts';
import { verdicts } from '../../../core/match/verdicts.ts';
import { askFor, NO_RULES, offerOf, queueOf, siteOf } from '../../fakes/offers.ts';

const GIB = 2 ** 30;
const kind = (
  nodes: number,
  cpus: number,
  gib: number,
  more: Partial<NodeKind> = {},
): NodeKind => ({
  nodes,
  cpus,
  memoryBytes: gib * GIB,
  gpus: 0,
  gpuModels: [],
  freeCpus: nodes * cpus,
  ...more,
});
/** The largest of everything, which no node has together. */
const largest = {
  cpusPerNode: 32,
  memoryPerNodeBytes: 512 * GIB,
  gpusPerNode: 4,
  gpuModels: ['A100', 'V100'],
  totalCpus: 216,
  freeCpus: 216,
  maxNodes: 9,
};
const main = queueOf('main', {
  ...largest,
  kinds: [
    kind(6, 32, 64),
    kind(1, 16, 64, { gpus: 4, gpuModels: ['V100'] }),
    kind(1, 4, 512),
    kind(1, 4, 64, { gpus: 1, gpuModels: ['A100'] }),
  ],
});
const site = {
  totalCpus: 216,
  freeCpus: 216,
  totalMemoryBytes: 9 * 512 * GIB,
  freeMemoryBytes: 9 * 512 * GIB,
  totalGpus: 5,
  freeGpus: 5,
  maxNodes: 9,
  gpuModels: ['A100', 'V100'],
};
const offer = offerOf('hpc', { ...site, queues: [main] });
const refused = (resources: Partial<Resources>) => queueRefusal(askFor({}, resources), offer);

test.each<[string, Partial<Resources>, string]>([
  [
    'many cpus with much memory',
    { cpus: 8, memoryBytes: 128 * GIB },
    "needs a node with 8 cpus and 128 GiB, its nearest queue 'main' has nodes with 32 cpus and 64 GiB, 16 cpus, 64 GiB and 4 GPUs of model V100, 4 cpus and 512 GiB or 1 more kind",
  ],
  [
    'a GPU with many cpus',
    { cpus: 24, gpus: 1 },
    "needs a node with 24 cpus, 1 GiB and 1 GPU, its nearest queue 'main' has nodes with 32 cpus and 64 GiB, 16 cpus, 64 GiB and 4 GPUs of model V100, 4 cpus and 512 GiB or 1 more kind",
  ],
  [
    'a model of which no node has so many',
    { gpus: 2, gpuModel: 'a100' },
    "needs a node with 1 cpu, 1 GiB and 2 GPUs of model a100, its nearest queue 'main' has nodes with 32 cpus and 64 GiB, 16 cpus, 64 GiB and 4 GPUs of model V100, 4 cpus and 512 GiB or 1 more kind",
  ],
  [
    'more large nodes than there are',
    { nodes: 7, cpus: 20 },
    "needs 7 nodes with 20 cpus and 1 GiB, its nearest queue 'main' has 6",
  ],
])('%s is refused where no node has both', (_what, resources, detail) => {
  expect(refused(resources)).toEqual({ code: 'queue-too-small', detail });
  const view = siteOf('hpc', offer);
  const said = verdicts(askFor({}, resources), [view], NO_RULES).get(view.id);
  expect(said).toEqual({ code: 'queue-too-small', detail, lasting: true });
});

test.each<Partial<Resources>>([
  { cpus: 32, memoryBytes: 64 * GIB },
  { cpus: 4, memoryBytes: 512 * GIB },
  { cpus: 16, gpus: 4, gpuModel: 'v100' },
  { gpus: 1, gpuModel: 'A100' },
  { nodes: 6, cpus: 20 },
  { nodes: 7, cpus: 16 },
  { nodes: 9, cpus: 4, memoryBytes: 64 * GIB },
])('what some kind of its nodes has is not refused: %o', (resources) => {
  expect(refused(resources)).toBeUndefined();
});

test('the first kinds are named, and two without a number', () => {
  const two = { ...main, kinds: main.kinds.slice(0, 2) };
  const ask = askFor({}, { cpus: 8, memoryBytes: 128 * GIB });
  expect(queueRefusal(ask, { queues: [two] })?.detail).toMatch(
    / has nodes with 32 cpus and 64 GiB or 16 cpus, 64 GiB and 4 GPUs of model V100$/,
  );
});

test('a queue that does not tell of kinds takes what its largest node would', () => {
  const old = { queues: [{ ...main, kinds: [] }] };
  expect(queueRefusal(askFor({}, { cpus: 32, memoryBytes: 512 * GIB }), old)).toBeUndefined();
});

test('what is not known of a kind is no limit', () => {
  const vague = [kind(1, 0, 0), kind(1, 4, 512, { gpus: 1 })];
  const queues = [{ ...main, kinds: vague }];
  expect(
    queueRefusal(askFor({}, { cpus: 30, memoryBytes: 500 * GIB }), { queues }),
  ).toBeUndefined();
  expect(queueRefusal(askFor({}, { gpus: 1, gpuModel: 'A100' }), { queues })).toBeUndefined();
});

test('room now is room on nodes that the job fits', () => {
  const full = kind(1, 4, 512, { freeCpus: 0 });
  const first = { ...main, name: 'first', isDefault: true, kinds: [kind(6, 32, 64), full] };
  const second = { ...first, name: 'second', isDefault: false, kinds: [kind(1, 4, 512), full] };
  const queueOfJob = (memoryBytes: number) => {
    const ask = askFor({}, { cpus: 2, memoryBytes });
    return queueFor(ask, { ...offer, queues: [first, second] }, NO_RULES)?.name;
  };
  expect(queueOfJob(GIB)).toBe('first');
  expect(queueOfJob(200 * GIB)).toBe('second');
});
