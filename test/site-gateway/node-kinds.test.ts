import fc from 'fast-check';
import { expect, test } from 'vitest';
import { freeCpusFor, nodesFor } from '../../core/match/node-kind.ts';
import type { NodeKind } from '../../core/match/offer.ts';
import { kindsOf, type NodeSize } from '../../site-gateway/lrms/node-kinds.ts';

const node = (cpus: number, memoryBytes: number, more: Partial<NodeSize> = {}): NodeSize => ({
  cpus,
  memoryBytes,
  gpus: 0,
  gpuModels: [],
  freeCpus: cpus,
  ...more,
});

test('nodes that are alike are one kind, with what is free on all of them', () => {
  const nodes = [
    node(4, 512),
    node(32, 64, { freeCpus: 0 }),
    node(32, 64, { freeCpus: 30 }),
    node(4, 64, { gpus: 1, gpuModels: ['a100'] }),
    node(4, 64, { gpus: 1, gpuModels: ['v100'] }),
  ];
  expect(kindsOf(nodes)).toEqual([
    { ...node(32, 64, { freeCpus: 30 }), nodes: 2 },
    { ...node(4, 512), nodes: 1 },
    { ...node(4, 64, { gpus: 1, gpuModels: ['a100'] }), nodes: 1 },
    { ...node(4, 64, { gpus: 1, gpuModels: ['v100'] }), nodes: 1 },
  ]);
});

test('of nodes that are all alike, and of none, no kinds are told', () => {
  expect(kindsOf([])).toEqual([]);
  expect(kindsOf([node(4, 64, { freeCpus: 1 }), node(4, 64)])).toEqual([]);
});

test('of many kinds those stay that are below no other, and others count as one below them', () => {
  const nodes = [
    node(32, 64),
    node(16, 128),
    ...Array.from({ length: 30 }, (_, at) => node(8, 9 + at)),
  ];
  expect(kindsOf([...nodes, node(8, 8), node(8, 8)], 3)).toEqual([
    { ...node(32, 64), nodes: 1 },
    { ...node(16, 128), nodes: 1 },
    { ...node(8, 8), nodes: 32, freeCpus: 32 * 8 },
  ]);
});

const amounts = fc.integer({ min: 0, max: 6 });
const sizes = fc.record({
  cpus: fc.integer({ min: 1, max: 6 }),
  memoryBytes: amounts,
  gpus: fc.integer({ min: 0, max: 2 }),
  gpuModels: fc.constantFrom([], ['a'], ['b'], ['a', 'b']),
  freeCpus: amounts,
});
const gpusAsked = fc.oneof(
  fc.record({ gpus: fc.constant(0) }),
  // No job may name a model and ask for none of it.
  fc.record({ gpus: fc.integer({ min: 1, max: 2 }), gpuModel: fc.constantFrom('', 'a', 'b') }),
);
const needs = fc
  .tuple(fc.record({ cpus: amounts, memoryBytes: amounts }), gpusAsked)
  .map(([asked, gpus]) => ({ ...asked, ...gpus }));
const each = (nodes: readonly NodeSize[]): readonly NodeKind[] =>
  nodes.map((one) => ({ ...one, nodes: 1 }));
const queueOfKinds = (kinds: readonly NodeKind[]) => ({ kinds, freeCpus: 0 });

test('kinds say of any task what the nodes themselves say', () => {
  fc.assert(
    fc.property(fc.array(sizes, { minLength: 2 }), needs, (nodes, needed) => {
      const kinds = kindsOf(nodes, Number.POSITIVE_INFINITY);
      fc.pre(kinds.length > 0);
      const [told, real] = [queueOfKinds(kinds), queueOfKinds(each(nodes))];
      expect(nodesFor(told, needed)).toBe(nodesFor(real, needed));
      expect(freeCpusFor(told, needed)).toBe(freeCpusFor(real, needed));
    }),
  );
});

test('kinds that are left out never add a node that is not there', () => {
  fc.assert(
    fc.property(
      fc.array(sizes, { minLength: 4, maxLength: 40 }),
      needs,
      fc.integer({ min: 2, max: 8 }),
      (nodes, needed, most) => {
        const kinds = kindsOf(nodes, most);
        fc.pre(kinds.length > 0);
        expect(kinds.length).toBeLessThanOrEqual(most);
        const [told, real] = [queueOfKinds(kinds), queueOfKinds(each(nodes))];
        expect(nodesFor(told, needed)).toBeLessThanOrEqual(nodesFor(real, needed));
        expect(freeCpusFor(told, needed)).toBeLessThanOrEqual(freeCpusFor(real, needed));
      },
    ),
  );
});

test('a task that fits one of many nodes fits one of the kinds that are told', () => {
  const mixed = fc.array(sizes, { minLength: 33, maxLength: 200 });
  fc.assert(
    fc.property(mixed, needs, (nodes, needed) => {
      const known = nodes.map((one) => ({
        ...one,
        memoryBytes: 1 + one.memoryBytes,
        gpuModels: [],
      }));
      const told = nodesFor(queueOfKinds(kindsOf(known)), needed);
      expect(told > 0).toBe(nodesFor(queueOfKinds(each(known)), needed) > 0);
    }),
  );
});
