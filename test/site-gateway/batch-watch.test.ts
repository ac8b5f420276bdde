import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { openLog } from '../../service/log.ts';
import { openChange } from '../../site-gateway/change.ts';
import { BatchSilence } from '../../site-gateway/lrms/batch/batch-command.ts';
import { openHealth } from '../../site-gateway/lrms/batch/batch-health.ts';
import type { BatchPoll, BatchSystem } from '../../site-gateway/lrms/batch/batch-system.ts';
import { watchBatch } from '../../site-gateway/lrms/batch/batch-watch.ts';
import { SELF } from '../fakes/job-owners.ts';

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

const CLOCK = { nowMs: () => Date.now(), monotonicMs: () => Date.now() };
const NOTHING: BatchPoll = {
  jobs: new Map(),
  capacity: {
    ...{ cpus: 1, memoryBytes: 1, gpus: 0, usableCpus: 1, usableMemoryBytes: 1, usableGpus: 0 },
    ...{ maxNodes: 1, maxWalltimeMs: 0, queues: [] },
  },
  closedReason: '',
};

/** Watches a system whose looks take so long or fail; gives the seconds at which they began, from the first. */
async function looksOf(
  poll: () => Promise<BatchPoll>,
  seconds: number,
  isUrgent = false,
): Promise<{ readonly atS: readonly number[]; readonly closed: string }> {
  const atS: number[] = [];
  const startMs = Date.now();
  const log = openLog('test', 'silent');
  const health = openHealth({ name: 'Slurm', clock: CLOCK, log, onChange: () => undefined });
  const stop = new AbortController();
  const system = {
    poll: () => {
      atS.push((Date.now() - startMs) / 1_000);
      return poll();
    },
  } as Pick<BatchSystem, 'poll'> as BatchSystem;
  const signals = { urgent: openChange(), isUrgent: () => isUrgent };
  const watching = watchBatch({
    ...{ system, owners: SELF, health, clock: CLOCK, log, signals },
    signal: stop.signal,
    onPoll: async () => undefined,
  }).then((ended) => ended());
  await vi.advanceTimersByTimeAsync(1_000 * seconds);
  const closed = health.state().closedReason;
  stop.abort();
  // A look that has begun comes to its end.
  await vi.advanceTimersByTimeAsync(60_000);
  await watching;
  return { atS, closed };
}

const atOnce = (): Promise<BatchPoll> => Promise.resolve(NOTHING);
const after = (ms: number) => (): Promise<BatchPoll> =>
  new Promise((resolve) => setTimeout(() => resolve(NOTHING), ms));

test('a batch system that answers at once is looked at every five seconds', async () => {
  const { atS } = await looksOf(atOnce, 21);
  expect(atS).toEqual([0, 5, 10, 15, 20]);
});

test('a slow one is busy with looks for a twentieth of the time at most', async () => {
  const { atS } = await looksOf(after(1_000), 64);
  expect(atS).toEqual([0, 21, 42, 63]);
});

test('however slow it is, it is looked at once a minute', async () => {
  const { atS } = await looksOf(after(10_000), 141);
  expect(atS).toEqual([0, 70, 140]);
});

const away = (): Promise<BatchPoll> =>
  Promise.reject(new BatchSilence('Unable to contact slurm controller'));

test('one that is away is tried less and less often, once a minute in the end, and the site says why', async () => {
  const { atS, closed } = await looksOf(away, 251);
  expect(atS).toEqual([0, 10, 30, 70, 130, 190, 250]);
  expect(closed).toMatch(/^Slurm does not answer since .*: Unable to contact slurm controller$/);
});

test('one that comes back is looked at as before, and the site is open', async () => {
  const answers = [away, away];
  const { atS, closed } = await looksOf(() => (answers.pop() ?? atOnce)(), 41);
  expect(atS).toEqual([0, 10, 30, 35, 40]);
  expect(closed).toBe('');
});

test('what somebody waits for is looked for each second', async () => {
  const { atS } = await looksOf(atOnce, 4, true);
  expect(atS).toEqual([0, 1, 2, 3, 4]);
});
