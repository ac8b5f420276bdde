import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { ProcessInfo } from '../lrms/process-tree.ts';
import { TICKS_PER_SECOND } from '../lrms/task-files.ts';
import { openGridCpu } from './grid-cpu.ts';

/** What all processes have used, and on how many cores, out of /proc/stat; undefined where it cannot be read. */
export function machineCpu(
  text: string,
): { readonly cpuMs: number; readonly cores: number } | undefined {
  // user nice system idle iowait irq softirq; what guests used is in user already.
  const [user, nice, system, , , irq, softirq] =
    /^cpu\s+(.*)$/m.exec(text)?.[1]?.split(' ').map(Number) ?? [];
  const cores = text.match(/^cpu\d+ /gm)?.length ?? 0;
  const ticks = [user, nice, system, irq, softirq].reduce<number>(
    (sum, part) => sum + (part ?? 0),
    0,
  );
  return cores === 0 ? undefined : { cpuMs: (ticks * 1_000) / TICKS_PER_SECOND, cores };
}

/** Gives the share of the machine's cores, 0 to 1, that others than the grid kept busy since the last call, by its processes now. */
export function openOthersLoad(
  root: string,
  spool: string,
  monotonicMs: () => number,
): (processes: readonly ProcessInfo[]) => number {
  const gridCpu = openGridCpu(spool, process.pid);
  let before: { readonly atMs: number; readonly othersMs: number } | undefined;
  return (processes) => {
    const machine = machineCpu(statText(root));
    if (machine === undefined) return 0;
    const now = { atMs: monotonicMs(), othersMs: machine.cpuMs - gridCpu(processes) };
    const { atMs, othersMs } = before ?? now;
    before = now;
    const share = (now.othersMs - othersMs) / ((now.atMs - atMs) * machine.cores);
    return now.atMs > atMs ? Math.min(1, Math.max(0, share)) : 0;
  };
}

function statText(root: string): string {
  try {
    return readFileSync(join(root, 'proc/stat'), 'utf8');
  } catch {
    return '';
  }
}
