import { join, sep } from 'node:path';
import type { ProcessInfo } from '../lrms/process-tree.ts';

/** The gateway, the tasks of this spool, and all that descends from them. */
function gridProcesses(
  processes: readonly ProcessInfo[],
  spool: string,
  ownPid: number,
): ReadonlyMap<number, ProcessInfo> {
  const tasks = join(spool, 'attempts') + sep;
  const isOurs = ({ pid, mark }: ProcessInfo): boolean => pid === ownPid || mark.startsWith(tasks);
  const ours = new Map(processes.filter(isOurs).map((one) => [one.pid, one]));
  let before = -1;
  while (before !== ours.size) {
    before = ours.size;
    for (const one of processes) if (ours.has(one.ppid)) ours.set(one.pid, one);
  }
  return ours;
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
  return (processes) => {
    const ours = gridProcesses(processes, spool, ownPid);
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
