import { join, sep } from 'node:path';
import { type ProcessInfo, withDescendants } from '../lrms/process-tree.ts';

/** What runs for attempts of this spool, and all that descends from it. `others` belong to it by their control groups, say. */
export function gridProcesses(
  processes: readonly ProcessInfo[],
  spool: string,
  others: ReadonlySet<number>,
): ReadonlyMap<number, ProcessInfo> {
  const tasks = join(spool, 'attempts') + sep;
  return withDescendants(processes, ({ pid, mark }) => others.has(pid) || mark.startsWith(tasks));
}

/**
 * CPU time in ms that the grid has used on this machine since the first look. What a process has used its parent counts
 * once it has waited for it; where the parent is none of ours it is kept here.
 */
export function openGridCpu(
  spool: string,
  ownPid: number,
): (processes: readonly ProcessInfo[]) => number {
  let known: ReadonlyMap<number, ProcessInfo> | undefined;
  let kept = 0;
  const gateway = new Set([ownPid]);
  return (processes) => {
    const ours = gridProcesses(processes, spool, gateway);
    const used = [...ours.values()].reduce((sum, { cpuMs }) => sum + cpuMs, 0);
    if (known === undefined) kept = -used;
    for (const [pid, { startTicks, ppid, cpuMs }] of known ?? []) {
      const isGone = ours.get(pid)?.startTicks !== startTicks;
      if (isGone && known?.has(ppid) !== true) kept += cpuMs;
    }
    known = ours;
    return used + kept;
  };
}
