import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { State } from '../../proto/gen/grid/v1/common.ts';
import { Acceptance } from '../../proto/gen/grid/v1/site.ts';
import { type LiveGrid, openLiveGrid } from '../fakes/live-grid.ts';
import { startTestSite, type TestSite } from '../fakes/test-site.ts';

let grid: LiveGrid;
let site: TestSite;
beforeAll(async () => {
  grid = await openLiveGrid();
  site = await startTestSite(grid, 'here', ['cpus: 4', 'pin-cpus: false', 'memory: 4G']);
});
afterAll(async () => {
  await site[Symbol.asyncDispose]();
  await grid[Symbol.asyncDispose]();
});

describe('a task', () => {
  test('runs and is told of: running, then done', async () => {
    const answers = await site.place([{ id: 'ok', spec: { command: ['true'] } }]);
    expect(answers).toMatchObject([
      { attemptId: 'ok', acceptance: Acceptance.ACCEPTANCE_ACCEPTED },
    ]);
    const updates = await site.untilEnded(['ok']);
    expect(updates.map(({ state }) => state)).toEqual([State.STATE_RUNNING, State.STATE_DONE]);
  });
});
