import { afterEach, beforeEach, expect, test } from 'vitest';
import { FailureKind, State } from '../../proto/gen/grid/v1/common.ts';
import { type BrokerGrid, openBrokerGrid, until } from '../fakes/broker-grid.ts';
import type { FakeGateway } from '../fakes/fake-gateway.ts';

let grid: BrokerGrid;
beforeEach(async () => {
  grid = await openBrokerGrid();
});
afterEach(() => grid[Symbol.asyncDispose]());

const GIB = 2 ** 30;
const ends = (id: string, state: string): Promise<void> =>
  until(async () => (await grid.stateOf(id)) === state);
const placedAt = (gateway: FakeGateway, count = 1): Promise<void> =>
  until(() => gateway.placed.length >= count);
const lastPlaced = (gateway: FakeGateway): string => gateway.placed.at(-1)?.attempt.attemptId ?? '';
const memoriesOf = ({ placed }: FakeGateway): readonly number[] =>
  placed.map(({ attempt }) => attempt.memoryBytes / GIB);

test('a task that had too little memory gets more, also after a restart, until it has the most', async () => {
  const site = await grid.site('aachen');
  const id = await grid.submit({ retryMemory: 4 });
  const outOfMemory = () =>
    site.report(
      lastPlaced(site),
      State.STATE_FAILED,
      FailureKind.FAILURE_KIND_LIMIT,
      'MEMORY_EXCEEDED',
    );
  await placedAt(site);
  outOfMemory();
  await placedAt(site, 2);
  await grid.restart();
  outOfMemory();
  await placedAt(site, 3);
  outOfMemory();
  await ends(id, 'failed');
  expect(memoriesOf(site)).toEqual([0, 4, 8]);
  expect((await grid.job(id)).summary?.detail).toBe(
    'the test said so; 8 GiB is 8 times what the job asked for, and the most',
  );
});
