import { expect, test } from 'vitest';
import type { Queue } from '../../core/match/offer.ts';
import { Offer } from '../../proto/gen/grid/v1/common.ts';
import { offerFromWire, offerToWire } from '../../service/rpc/wire.ts';
import { type SiteFacts, tooLarge } from '../../site-gateway/offer.ts';
import { offerOf, queueOf, resourcesOf } from '../fakes/offers.ts';

const GIB = 2 ** 30;
const facts: SiteFacts = {
  ...offerOf('hpc', { gpuModels: ['a100'] }),
  version: 'test',
  backlog: 0,
  licences: {},
  fetchFrom: [],
  containers: undefined,
};
const node = { nodes: 1, memoryBytes: 8 * GIB, gpus: 0, gpuModels: [], freeCpus: 0 };
const mixed: Partial<Queue> = {
  cpusPerNode: 32,
  memoryPerNodeBytes: 64 * GIB,
  gpusPerNode: 1,
  totalCpus: 36,
  kinds: [
    { ...node, cpus: 32 },
    { ...node, cpus: 4, memoryBytes: 64 * GIB, gpus: 1 },
  ],
};
const queue = queueOf('main', mixed);
const size = {
  cpus: 36,
  memoryBytes: 72 * GIB,
  gpus: 1,
  usableCpus: 36,
  usableMemoryBytes: 72 * GIB,
  usableGpus: 1,
  maxNodes: 2,
  maxWalltimeMs: 0,
  queues: [queue],
};
const disk = { totalBytes: 0, availableBytes: 0 };

test('a task that no node of the site has room for is too large, whatever the site has in all', () => {
  const refused = (asked: Parameters<typeof resourcesOf>[0]) =>
    tooLarge(facts, { size, disk }, resourcesOf(asked));
  expect(refused({ cpus: 8, memoryBytes: 16 * GIB })).toBe(
    "it needs a node with 8 cpus and 16 GiB, its nearest queue 'main' has nodes with 32 cpus and 8 GiB or 4 cpus, 64 GiB and 1 GPU",
  );
  expect(refused({ cpus: 33 })).toBe("it needs 33 cpus on a node, its nearest queue 'main' has 32");
  expect(refused({ cpus: 32, memoryBytes: 8 * GIB })).toBeUndefined();
  expect(refused({ memoryBytes: 64 * GIB, gpus: 1, gpuModel: 'A100' })).toBeUndefined();
});

test('an offer comes over the wire with its kinds of nodes, and one of an older gateway with none', () => {
  const sent = (offer: Parameters<typeof offerToWire>[0]) =>
    offerFromWire(Offer.decode(Offer.encode(offerToWire(offer)).finish())).queues;
  expect(sent(offerOf('hpc', { queues: [queue] }))).toEqual([queue]);
  const old = { ...queue, kinds: [] };
  expect(sent(offerOf('hpc', { queues: [old] }))).toEqual([old]);
});
