import fc from 'fast-check';
import { expect, test } from 'vitest';
import { jobId } from '../../../core/ids.ts';
import {
  countNodes,
  flowIdOf,
  isFlowId,
  isNodeName,
  nodesToRun,
  orderNodes,
  renameRefs,
} from '../../../core/job/flow.ts';
import { jobStateOf } from '../../../core/job/summary.ts';
import { specOf } from '../../fakes/offers.ts';

const edges = (nodes: Readonly<Record<string, string>>) =>
  new Map(Object.entries(nodes).map(([node, after]) => [node, after.split(' ').filter(Boolean)]));

test('nodes come behind those they name, and otherwise as they were written', () => {
  const { order, cycles } = orderNodes(edges({ d: 'b c', b: 'a', c: 'a elsewhere', a: '', e: '' }));
  expect(order).toEqual(['a', 'b', 'c', 'd', 'e']);
  expect(cycles).toEqual([]);
});

test.each([
  [{ a: 'a' }, [['a', 'a']]],
  [{ align: 'sort', sort: 'align', free: '' }, [['align', 'sort', 'align']]],
  [
    { a: 'c', b: 'a', c: 'b', x: 'y', y: 'x' },
    [
      ['a', 'b', 'c', 'a'],
      ['x', 'y', 'x'],
    ],
  ],
])('the cycles of %j are named', (nodes, cycles) => {
  expect(orderNodes(edges(nodes)).cycles).toEqual(cycles);
});

test('an order is found exactly where there is one', () => {
  const graph = fc.array(fc.array(fc.nat(9), { maxLength: 4 }), { minLength: 1, maxLength: 10 });
  fc.assert(
    fc.property(graph, (lists) => {
      const nodes = new Map(lists.map((list, node) => [String(node), list.map(String)]));
      const { order, cycles } = orderNodes(nodes);
      expect(new Set(order)).toEqual(new Set(nodes.keys()));
      const place = new Map(order.map((node, index) => [node, index]));
      const backwards = [...nodes].flatMap(([node, after]) =>
        after.filter((one) => nodes.has(one) && (place.get(one) ?? 0) >= (place.get(node) ?? 0)),
      );
      expect(cycles.length > 0).toBe(backwards.length > 0);
      for (const cycle of cycles) {
        expect(cycle.at(0)).toBe(cycle.at(-1));
        for (const [index, node] of cycle.slice(1).entries())
          expect(nodes.get(node)).toContain(cycle[index]);
      }
    }),
  );
});

test('a chain of a thousand nodes, written backwards, is put in order', () => {
  const names = Array.from({ length: 1_000 }, (_, n) => `n${n}`);
  const chain = new Map(names.map((name, n) => [name, n === 999 ? [] : [`n${n + 1}`]]));
  expect(orderNodes(chain).order).toEqual(names.toReversed());
});

test('names and ids stand for one another', () => {
  const spec = specOf({
    after: [{ job: jobId('prep'), when: 'any' }],
    inputs: [
      { from: 'job:prep', to: 'in' },
      { from: 'prep', to: 'prep' },
    ],
  });
  const withIds = renameRefs(spec, new Map([['prep', 'j0123456789a']]));
  expect(withIds.after).toEqual([{ job: 'j0123456789a', when: 'any' }]);
  expect(withIds.inputs.map(({ from }) => from)).toEqual(['job:j0123456789a', 'prep']);
  expect(renameRefs(withIds, new Map([['j0123456789a', 'prep']]))).toEqual(spec);
});

test('a node has a plain name that is no job id', () => {
  expect(['align', '2-sort', 'a.b_c'].every(isNodeName)).toBe(true);
  expect(['', 'a b', '-a', 'a:b', 'a=b', 'j0123456789a', 'x'.repeat(65)].some(isNodeName)).toBe(
    false,
  );
  expect(isFlowId(flowIdOf(jobId('j0123456789a')))).toBe(true);
  expect(isFlowId('j0123456789a')).toBe(false);
});

const state = (name: string, reason = '') => ({ state: name as 'done', reason });

test('a node that was not needed has come to a good end', () => {
  const stateOf = (...nodes: ReturnType<typeof state>[]) => jobStateOf(countNodes(nodes));
  expect(stateOf(state('done'), state('cancelled', 'NOT_NEEDED'))).toBe('done');
  expect(stateOf(state('done'), state('cancelled', 'CANCELLED'))).toBe('cancelled');
  expect(stateOf(state('failed'), state('cancelled', 'DEPENDENCY_FAILED'))).toBe('failed');
  expect(stateOf(state('failed'), state('running'))).toBe('running');
});

test('what is not done runs again, with all that comes after it', () => {
  const flow = edges({ a: '', b: 'a', c: 'a', clean: 'b c', other: 'a', fresh: 'a' });
  const states = new Map([
    ['a', state('done')],
    ['b', state('failed')],
    ['c', state('done')],
    ['clean', state('done')],
    ['other', state('cancelled', 'NOT_NEEDED')],
  ]);
  expect([...nodesToRun(flow, states)]).toEqual(['b', 'clean', 'fresh']);
});
