import { boundedWords } from '../../../core/words.ts';
import type { Clock } from '../../../service/clock.ts';
import { keyOfStat, limitOf, readMeter, type StatusFile } from '../task-files.ts';
import { type Evidence, isKill } from './batch-end.ts';
import { NO_STEPS } from './batch-steps.ts';
import {
  type BatchEnd,
  type BatchPoll,
  type BatchSystem,
  keyOf,
  type MissingElement,
} from './batch-system.ts';
import type { BatchTask } from './batch-task.ts';
import type { Submissions } from './submissions.ts';

/**
 * A task that is not listed has had this many looks to show its status, which a shared file system may tell late. One whose
 * script was killed with it has none to show.
 */
const MISSED_LOOKS = 2;

/** Notes what the look says of a task; whether it is time to ask what became of it. */
export function isMissing(entry: BatchTask, jobs: BatchPoll['jobs'], beganAtMs: number): boolean {
  if (entry.element === undefined) return false;
  const job = jobs.get(keyOf(entry.element));
  if (job !== undefined) {
    entry.job = job.id;
    entry.isListed = true;
    entry.waitReason = job.state === 'waits' ? boundedWords(job.reason) : '';
    entry.missed = 0;
    return job.state === 'stuck';
  }
  if (entry.sentAtMs < beganAtMs) {
    if (entry.missed === 0) entry.missedAtMs = beganAtMs;
    entry.missed += 1;
  }
  const isKilled = entry.wanted === 'KILL';
  return entry.missed >= (entry.unexplained || isKilled ? 1 : MISSED_LOOKS);
}

/** Whether the system may still come to tell how it ended; of what has not begun it would not. */
export const maySettle = (
  { state, missed, missedAtMs }: BatchTask,
  { system, clock }: { readonly system: BatchSystem; readonly clock: Clock },
): boolean =>
  state === 'runs' && missed > 0 && clock.monotonicMs() - missedAtMs < (system.settleMs ?? 0);

/** What an autopsy is asked about. */
export const elementsOf = (entries: readonly BatchTask[]): readonly MissingElement[] =>
  entries.flatMap(({ element, job }) => (element === undefined ? [] : [{ ...element, job }]));

/** Whether it was killed, not by the gateway, for a reason that perhaps only the batch system knows. */
export async function isUnexplained(
  { task, wanted }: BatchTask,
  { exitCode }: StatusFile,
): Promise<boolean> {
  if (!isKill(exitCode) || wanted !== undefined) return false;
  return (await limitOf(task.directory)) === undefined;
}

/** Whether the batch system has ended it by itself, and is about to start it again. */
export const isRequeued = (
  { unexplained, element, sentAtMs }: BatchTask,
  jobs: BatchPoll['jobs'],
  beganAtMs: number,
): boolean =>
  unexplained &&
  element !== undefined &&
  sentAtMs < beganAtMs &&
  jobs.get(keyOf(element))?.state === 'waits';

interface About {
  readonly entry: BatchTask;
  readonly status: StatusFile | undefined;
  readonly end: BatchEnd | undefined;
  /** Name of the batch system. */
  readonly system: string;
}

/** A system that only ended its script well may have ended the task all the same, by what it announced. */
async function endedBy(
  { element, wanted }: BatchTask,
  end: BatchEnd | undefined,
  submissions: Submissions,
): Promise<BatchEnd | undefined> {
  if (element === undefined || wanted !== undefined) return end;
  if (end !== undefined && end.kind !== 'ended') return end;
  if (!(await submissions.wasNoticed(element))) return end;
  return { words: '', ...end, kind: 'cancelled' };
}

/** Gathers what there is to be known of a task that has come to its end. */
export async function evidenceOf(
  { entry, status, end, system }: About,
  submissions: Submissions,
): Promise<Evidence> {
  const { element, task, job, state, unexplained } = entry;
  const asks = element !== undefined && (status === undefined || unexplained);
  const { nodes, memoryBytes, walltimeMs, directory } = task;
  return {
    system,
    job,
    nodes,
    memoryBytes,
    walltimeMs,
    began: state === 'runs',
    status,
    ...(await countsOf(entry, submissions, status)),
    isKilled: status === undefined && entry.wanted === 'KILL',
    limit: await limitOf(directory),
    end: await endedBy(entry, end, submissions),
    log: asks ? await submissions.logOf(element) : '',
  };
}

/** What its script, and others beside it, have counted. */
async function countsOf(
  { element, task, suspendedMs }: BatchTask,
  submissions: Submissions,
  status: StatusFile | undefined,
): Promise<Pick<Evidence, 'meter' | 'steps' | 'wallMs'>> {
  const meter = await readMeter(task.directory);
  if (element === undefined) return { meter, steps: NO_STEPS, wallMs: 0 };
  const stat = await submissions.startedStat(element);
  const endedMs = status?.endedUptimeMs ?? meter?.atUptimeMs ?? 0;
  const wallMs = Math.max(0, wallMsOf(stat, endedMs) - suspendedMs);
  return { meter, steps: await submissions.stepsOf(element), wallMs };
}

/** From the start of the script, as it left it, to an instant of the same machine; 0 where either is not known. */
function wallMsOf(stat: string, endedMs: number): number {
  const startedMs = (keyOfStat(stat.split('\n')[0] ?? '')?.startTicks ?? 0) * 10;
  return startedMs > 0 ? Math.max(0, endedMs - startedMs) : 0;
}
