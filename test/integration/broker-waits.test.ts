import { afterEach, beforeEach, expect, test } from 'vitest';
import { FailureKind, State } from '../../proto/gen/grid/v1/common.ts';
import { type BrokerGrid, newJob, openBrokerGrid, until } from '../fakes/broker-grid.ts';
import { type FakeGateway, finishAll } from '../fakes/fake-gateway.ts';

let grid: BrokerGrid;
beforeEach(async () => {
  grid = await openBrokerGrid();
});
afterEach(() => grid[Symbol.asyncDispose]());

const LARGE = { totalCpus: 64, freeCpus: 64 };
const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));
const waitsAt = async (id: string) => {
  const { sites } = await grid.as('Alice').listSites({});
  return sites.find((site) => site.id === id)?.waits ?? [];
};
const isDone = (id: string) => async () => (await grid.stateOf(id)) === 'done';
/** Has room, and lets tasks wait nonetheless. */
const startAfter = (site: FakeGateway, ms: number): void => {
  site.onPlaced = (id) => {
    site.report(id, State.STATE_SUBMITTED);
    setTimeout(() => finishAll(site)(id), ms);
  };
};

test('a site that lets tasks wait is chosen after one that does not, however much it has free', async () => {
  const slow = await grid.site('aachen', LARGE);
  const quick = await grid.site('bremen', { totalCpus: 4, freeCpus: 2 });
  startAfter(slow, 4_500);
  quick.onPlaced = finishAll(quick);
  const fromMs = performance.now();
  const first = await grid.submit();
  await until(() => slow.placed.length === 1);
  // What waits now counts before it has started.
  await until(async () => (await waitsAt('aachen')).length > 0);
  await until(isDone(await grid.submit()));
  expect(quick.placed).toHaveLength(1);
  await until(isDone(first));
  const waitedMs = performance.now() - fromMs;
  const [wait, ...others] = await waitsAt('aachen');
  expect(others).toEqual([]);
  expect(wait).toMatchObject({ kind: 'plain', backlog: false });
  expect(wait?.expectedMs).toBeGreaterThan(2_000);
  expect(wait?.expectedMs).toBeLessThan(0.7 * waitedMs);
  expect(await waitsAt('bremen')).toEqual([]);
  await until(isDone(await grid.submit()));
  expect([slow.placed.length, quick.placed.length]).toEqual([1, 2]);
  // Tasks that wait for something else are no matter of these.
  const gang = { cpus: 1, memoryBytes: 2 ** 20, gpus: 0, nodes: 2, walltimeMs: 60_000 };
  const none = { diskBytes: 0, gpuModel: '', licences: {} };
  slow.offer({ maxNodes: 2 });
  await until(async () => (await grid.as('Alice').listSites({})).sites[0]?.offer?.maxNodes === 2);
  await grid.submit({ resources: { ...gang, ...none } });
  await until(() => slow.placed.length === 2);
});

test('a site is chosen again when it has become quick, and why tells the wait there', async () => {
  const slow = await grid.site('aachen', LARGE);
  startAfter(slow, 3_500);
  await until(isDone(await grid.submit()));
  const quick = await grid.site('bremen', { totalCpus: 4, freeCpus: 2 });
  quick.onPlaced = finishAll(quick);
  slow.onPlaced = finishAll(slow);
  await until(isDone(await grid.submit()));
  expect([slow.placed.length, quick.placed.length]).toEqual([1, 1]);
  const { sites } = await grid.as('Alice').explainJob({ spec: newJob().spec });
  const [there, here] = sites.map(({ expectedWaitMs }) => expectedWaitMs);
  expect(there).toBeGreaterThan(1_000);
  expect(here).toBe(0);
  // The other is full: tasks have to go there, and it shows that they need not wait.
  quick.offer({ freeCpus: 0, backlog: 0 });
  await until(async () => (await grid.as('Alice').listSites({})).sites[1]?.offer?.freeCpus === 0);
  const ids = await Promise.all(Array.from({ length: 12 }, () => grid.submit()));
  for (const id of ids) await until(isDone(id));
  expect(await waitsAt('aachen')).toEqual([]);
  quick.offer({ freeCpus: 2 });
  await until(async () => (await grid.as('Alice').listSites({})).sites[1]?.offer?.freeCpus === 2);
  const before = slow.placed.length;
  await until(isDone(await grid.submit()));
  expect(slow.placed.length).toBe(before + 1);
});

test('tasks that are cancelled while they wait are counted no more, and those of a restart still are', async () => {
  const slow = await grid.site('aachen', LARGE);
  slow.onPlaced = (id) => slow.report(id, State.STATE_SUBMITTED);
  const id = await grid.submit();
  await until(async () => (await waitsAt('aachen')).length > 0);
  await grid.restart();
  await pause(1_000);
  await until(async () => (await waitsAt('aachen')).length > 0);
  await grid.as('Alice').cancelJobs({ jobIds: [id], reason: '' });
  await until(async () => (await grid.stateOf(id)) === 'cancelled');
  expect(await waitsAt('aachen')).toEqual([]);
});

test('of endless words of a gateway the ledger keeps the beginning, and says so', async () => {
  const site = await grid.site('aachen');
  site.onPlaced = (id) =>
    site.report(
      id,
      State.STATE_FAILED,
      FailureKind.FAILURE_KIND_JOB,
      'R'.repeat(10_000),
      'no '.repeat(1_000_000),
    );
  const id = await grid.submit();
  await until(async () => (await grid.stateOf(id)) === 'failed');
  const { reason = '', detail = '' } = (await grid.job(id)).summary ?? {};
  expect(reason).toMatch(/^R+… \(cut, 10000 bytes\)$/);
  expect(detail).toMatch(/^(?:no )+n?o?… \(cut, 3000000 bytes\)$/);
  site.offer({ closedReason: `Slurm: ${'x'.repeat(100_000)}` });
  const closed = async () => (await grid.as('Alice').listSites({})).sites[0]?.offer?.closedReason;
  await until(async () => (await closed()) !== '');
  expect(await closed()).toMatch(/^Slurm: x+… \(cut, 100007 bytes\)$/);
});
