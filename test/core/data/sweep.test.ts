import { expect, test } from 'vitest';
import { sweepPass } from '../../../core/data/sweep.ts';

const NONE = { condemned: new Map<string, number>() };
const at = (nowMs: number) => ({ nowMs, graceMs: 100 });

test('what no tree names is condemned, and goes after the grace', () => {
  const first = sweepPass(['a', 'b'], new Set(['a']), NONE, at(1_000));
  expect(first).toEqual({ due: [], condemned: new Map([['b', 1_000]]) });
  const second = sweepPass(['a', 'b', 'c'], new Set(['a']), first, at(1_099));
  expect(second.due).toEqual([]);
  const third = sweepPass(['a', 'b', 'c'], new Set(['a']), second, at(1_100));
  expect(third.due).toEqual(['b']);
  expect(third.condemned.get('c')).toBe(1_099);
});

test('what a tree names again is safe, and its grace begins anew', () => {
  const first = sweepPass(['a'], new Set(), NONE, at(0));
  const named = sweepPass(['a'], new Set(['a']), first, at(50));
  expect(named.condemned.size).toBe(0);
  expect(sweepPass(['a'], new Set(), named, at(120)).due).toEqual([]);
});

test('without grace it still takes two passes', () => {
  const rule = { nowMs: 5, graceMs: 0 };
  const first = sweepPass(['a'], new Set(), NONE, rule);
  expect(first.due).toEqual([]);
  expect(sweepPass(['a'], new Set(), first, rule).due).toEqual(['a']);
});

test('a clock that goes back an hour lets nothing go early', () => {
  const first = sweepPass(['a'], new Set(), NONE, at(3_600_000));
  const back = sweepPass(['a'], new Set(), first, at(0));
  expect(back).toEqual({ due: [], condemned: new Map([['a', 0]]) });
});

test('some wait another time than the rest', () => {
  const rule = { nowMs: 0, graceMs: 100, brief: new Set(['a']), briefMs: 10 };
  const first = sweepPass(['a', 'b'], new Set(), NONE, rule);
  expect(sweepPass(['a', 'b'], new Set(), first, { ...rule, nowMs: 9 }).due).toEqual([]);
  expect(sweepPass(['a', 'b'], new Set(), first, { ...rule, nowMs: 10 }).due).toEqual(['a']);
});
