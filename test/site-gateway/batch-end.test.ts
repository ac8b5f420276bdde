import { expect, test } from 'vitest';
import { type Evidence, endOfTask } from '../../site-gateway/lrms/batch/batch-end.ts';
import { NO_STEPS } from '../../site-gateway/lrms/batch/batch-steps.ts';
import type { BatchEnd } from '../../site-gateway/lrms/batch/batch-system.ts';

const meter = { cpuMs: 5, peakMemoryBytes: 2 ** 20, atUptimeMs: 9, limit: undefined };
const evidenceOf = (exitCode: number, kind?: BatchEnd['kind']): Evidence => ({
  ...{ system: 'Slurm', job: '7', nodes: 1, memoryBytes: 2 ** 20, walltimeMs: 0, began: true },
  ...{ steps: NO_STEPS, isKilled: false, limit: undefined, log: '', wallMs: 9 },
  status: { exitCode, cpuMs: 5, endedUptimeMs: 9 },
  meter: { ...meter, isOverMemory: true },
  end: kind && { kind, words: '' },
});

test.for([
  [1, undefined, { kind: 'limit', limit: 'memory', exitCode: 1 }],
  [137, undefined, { kind: 'limit', limit: 'memory', exitCode: 137 }],
  [0, undefined, { kind: 'exited', exitCode: 0 }],
  [143, 'cancelled', { kind: 'vanished', reason: 'SITE_CANCELLED' }],
  [137, 'requeued', { kind: 'vanished', reason: 'TASK_VANISHED' }],
] as const)(
  'of a task that lost a process for its memory, exited %d and was %s',
  ([exitCode, kind, end]) => {
    expect(endOfTask(evidenceOf(exitCode, kind))).toMatchObject(end);
  },
);
