import { counted } from '../units.ts';
/** Hard caps of a node of the tree of shares; what is absent is not capped. */
export interface Quota {
  /** Cpus that may run at the same time. */
  readonly runningCpus?: number;
  /** Tasks that may wait at the same time. */
  readonly queuedTasks?: number;
}

/** A node with its quota and what it holds now. */
interface Quoted {
  /** As people write it. */
  readonly name: string;
  readonly quota: Quota;
  readonly queuedTasks: number;
}

/** Why `tasks` more may not be queued there; undefined if they may. */
export function queueRefusal(node: Quoted, tasks: number): string | undefined {
  const { name, quota, queuedTasks } = node;
  const most = quota.queuedTasks;
  return most !== undefined && queuedTasks + tasks > most
    ? `${name} may have ${counted(most, 'task')} queued: it has ${queuedTasks}, and ${tasks} more ${tasks === 1 ? 'is' : 'are'} wanted`
    : undefined;
}
