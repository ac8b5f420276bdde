import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { attemptId } from '../../core/ids.ts';
import { BatchSilence } from '../../site-gateway/lrms/batch/batch-command.ts';
import { BatchSignals } from '../../site-gateway/lrms/batch/batch-signals.ts';
import type { BatchSystem } from '../../site-gateway/lrms/batch/batch-system.ts';
import { type BatchTask, newBatchTask } from '../../site-gateway/lrms/batch/batch-task.ts';

let sent: string[];
/** When the script was allowed to kill. */
let allowedAtMs: number[];
let refuse: boolean;
let answers: boolean;
let entry: BatchTask;
let signals: BatchSignals;

beforeEach(() => {
  vi.useFakeTimers();
  sent = [];
  allowedAtMs = [];
  refuse = false;
  answers = true;
  entry = newBatchTask({
    id: attemptId('one'),
    directory: '/spool/one',
    command: ['true'],
    env: {},
    stdin: '/dev/null',
    nodes: 1,
    gpus: 0,
    cpus: 1,
    memoryBytes: 1,
    walltimeMs: 0,
    sandbox: 'account',
    network: 'any',
  });
  Object.assign(entry, { state: 'runs', element: { token: 'token', index: 1 }, job: '7' });
  signals = new BatchSignals({
    system: {
      signal: async (jobs: readonly string[], signal: string) => {
        if (refuse) throw new BatchSilence('no answer');
        sent.push(`${signal} ${jobs.join()} at ${Date.now() - startMs}`);
      },
    } as Pick<BatchSystem, 'signal'> as BatchSystem,
    submissions: {
      accountOf: () => undefined,
      allowKill: async () => {
        allowedAtMs.push(Date.now() - startMs);
      },
    },
    clock: { nowMs: () => Date.now(), monotonicMs: () => Date.now() },
    tasks: () => [entry],
    answers: () => answers,
    run: (_, work) => void work,
    onSilence: () => undefined,
  });
  startMs = Date.now();
});
afterEach(() => {
  clearTimeout(entry.killTimer);
  vi.useRealTimers();
});
let startMs = 0;

const look = (): void => {
  entry.isListed = true;
  signals.afterPoll(new Map(), Date.now());
};
const pass = (ms: number): Promise<unknown> => vi.advanceTimersByTimeAsync(ms);

describe('the grace of a task that is to end', () => {
  test('runs from TERM, which waits for a look that shows its job', async () => {
    signals.end(entry, 1_000);
    expect(signals.isUrgent()).toBe(true);
    await pass(5_000);
    expect(sent).toEqual([]);
    look();
    await pass(5_000);
    expect(sent).toEqual(['TERM 7 at 5000', 'KILL 7 at 6000']);
  });

  test('runs from the TERM that got an answer', async () => {
    refuse = true;
    entry.isListed = true;
    signals.end(entry, 1_000);
    await pass(3_000);
    refuse = false;
    look();
    await pass(5_000);
    expect(sent).toEqual(['TERM 7 at 3000', 'KILL 7 at 4000']);
  });

  test('is over at the latest instant, TERM or not', async () => {
    signals.end(entry, 2_000, 2_500);
    await pass(2_400);
    look();
    await pass(5_000);
    expect(sent).toEqual(['TERM 7 at 2400', 'KILL 7 at 2500']);
  });

  test('ends by the script where nothing was listed by then', async () => {
    signals.end(entry, 2_000, 2_500);
    await pass(2_600);
    expect([allowedAtMs, sent]).toEqual([[2_500], []]);
    look();
    await pass(5_000);
    expect([allowedAtMs, sent]).toEqual([[2_500], ['KILL 7 at 2600']]);
  });

  test('ends by the script where the batch system does not answer', async () => {
    entry.isListed = true;
    signals.end(entry, 1_000, 3_000);
    answers = false;
    await pass(5_000);
    expect([allowedAtMs, sent]).toEqual([[1_000], ['TERM 7 at 0']]);
  });

  test('is looked after more often until its job is taken to be stuck', async () => {
    entry.isListed = true;
    signals.end(entry, 0);
    await pass(15_000);
    expect([sent, signals.isUrgent()]).toEqual([['KILL 7 at 0'], true]);
    await pass(15_000);
    expect(signals.isUrgent()).toBe(false);
  });

  test('is the shortest of those that were said, from the one TERM', async () => {
    entry.isListed = true;
    signals.end(entry, 5_000);
    await pass(1_000);
    signals.end(entry, 3_000, 3_000);
    await pass(500);
    signals.end(entry, 5_000);
    await pass(9_000);
    expect(sent).toEqual(['TERM 7 at 0', 'KILL 7 at 3000']);
  });

  test('of 0 is none', async () => {
    entry.isListed = true;
    signals.end(entry, 5_000);
    await pass(100);
    signals.end(entry, 0);
    await pass(9_000);
    expect(sent).toEqual(['TERM 7 at 0', 'KILL 7 at 100']);
  });

  test('is over half a minute later where the batch system is away', async () => {
    answers = false;
    signals.end(entry, 1_000);
    await pass(30_000);
    expect(allowedAtMs).toEqual([]);
    await pass(2_000);
    expect([allowedAtMs, sent]).toEqual([[31_000], []]);
  });

  test('ends with the task', async () => {
    entry.isListed = true;
    signals.end(entry, 1_000);
    entry.state = 'ending';
    await pass(9_000);
    expect(sent).toEqual(['TERM 7 at 0']);
  });
});
