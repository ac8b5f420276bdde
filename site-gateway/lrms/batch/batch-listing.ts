import type { ListedTask, LrmsState } from '../lrms.ts';
import type { BatchJob } from './batch-system.ts';
import { keyOf } from './batch-system.ts';
import type { BatchTask } from './batch-task.ts';

/** The tasks beside the last look at the queue, and what is in the queue and belongs to none of them. */
export function listTasks(
  tasks: Iterable<BatchTask>,
  jobs: ReadonlyMap<string, BatchJob>,
): readonly ListedTask[] {
  const strays = new Map(jobs);
  const listed: ListedTask[] = [];
  for (const { task, element, job } of tasks) {
    const key = element === undefined ? '' : keyOf(element);
    const found = jobs.get(key);
    strays.delete(key);
    const { id: batchId, state, reason } = found ?? { id: job, state: 'unlisted', reason: '' };
    listed.push({ id: task.id, batchId, state, reason });
  }
  for (const { id: batchId, state, reason } of strays.values())
    listed.push({ id: '', batchId, state, reason });
  return listed;
}

/** Why a task does not run yet, in the words of the batch system `name`; '' for one that is not known. */
export function waitReasonOf(
  entry: BatchTask | undefined,
  name: string,
  { closedReason }: LrmsState,
): string {
  if (entry === undefined) return '';
  if (entry.state === 'gathers') return closedReason;
  return entry.waitReason === '' ? `waits in ${name}` : `waits in ${name}: ${entry.waitReason}`;
}
