import { expect, test } from 'vitest';
import { needOf } from '../../../core/match/need.ts';
import { DEFAULT_WEIGHTS, weighedCpus } from '../../../core/share/charge.ts';
import { queueRefusal } from '../../../core/share/quota.ts';
import { askFor } from '../../fakes/offers.ts';

const GIB = 2 ** 30;

test.each([
  ['a core with little memory', { cpus: 1, memoryBytes: GIB }, 1],
  ['memory that belongs to its cores', { cpus: 2, memoryBytes: 8 * GIB }, 2],
  ['memory of 16 cores', { cpus: 1, memoryBytes: 64 * GIB }, 16],
  ['a GPU besides', { cpus: 4, memoryBytes: GIB, gpus: 2 }, 24],
  ['every node', { cpus: 4, memoryBytes: 32 * GIB, nodes: 3 }, 24],
])('%s: %o weighs %d', (_what, resources, weighed) => {
  expect(weighedCpus(needOf(askFor({}, resources).resources), DEFAULT_WEIGHTS)).toBe(weighed);
});

test('a refusal for the queue names whose it is with all values', () => {
  const node = { name: '/demo/x:/CN=Ada', quota: { queuedTasks: 50 }, queuedTasks: 40 };
  expect(queueRefusal(node, 10)).toBeUndefined();
  expect(queueRefusal(node, 11)).toBe(
    '/demo/x:/CN=Ada may have 50 tasks queued: it has 40, and 11 more are wanted',
  );
  expect(queueRefusal({ ...node, quota: { runningCpus: 1 } }, 1e6)).toBeUndefined();
});
