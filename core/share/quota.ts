/** Hard caps of a node of the tree of shares; what is absent is not capped. */
export interface Quota {
  /** Cpus that may run at the same time. */
  readonly runningCpus?: number;
  /** Tasks that may wait at the same time. */
  readonly queuedTasks?: number;
}

/** A node with its quota and what it holds now. */
export interface Quoted {
  /** As people write it. */
  readonly name: string;
  readonly quota: Quota;
  readonly queuedTasks: number;
}

/** Why `tasks` more may not be queued, naming the first of `nodes` that has no room for them; undefined if they may. */
export function queueRefusal(nodes: readonly Quoted[], tasks: number): string | undefined {
  for (const { name, quota, queuedTasks } of nodes) {
    const most = quota.queuedTasks;
    if (most !== undefined && queuedTasks + tasks > most)
      return `${name} may have ${most} tasks queued: it has ${queuedTasks}, and ${tasks} more are wanted`;
  }
  return undefined;
}
