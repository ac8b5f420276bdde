import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { eventually } from '../../support/local-grid.ts';
import type { SlurmCluster } from '../../support/slurm-cluster.ts';

const COMMON = ['--mem=64M', '--cpus-per-task=1', '--output=/dev/null', '--chdir=/'];

/** Submits `true` as somebody who uses Slurm directly would, and waits until all is done; milliseconds. */
export async function sbatchAndWait(
  cluster: SlurmCluster,
  args: readonly string[],
): Promise<number> {
  const startedMs = performance.now();
  const id = (await cluster.run('sbatch', '--parsable', ...COMMON, ...args, '--wrap=true')).trim();
  await eventually(`end of Slurm job ${id}`, 300_000, async () => {
    const left = await cluster.run('squeue', '-h', '-r', '-j', id, '-o', '%i').catch(() => '');
    return left.trim() === '' ? true : undefined;
  });
  return performance.now() - startedMs;
}

/** From sbatch to the moment that the program reads the clock; milliseconds. */
export async function sbatchToStart(cluster: SlurmCluster, name: string): Promise<number> {
  const stamp = join(cluster.dir, name);
  const sentAtMs = performance.timeOrigin + performance.now();
  await cluster.run(
    'sbatch',
    ...COMMON,
    `--wrap=date +%s%N >${stamp}.new; mv ${stamp}.new ${stamp}`,
  );
  return (await stampedMs(stamp)) - sentAtMs;
}

/** When a program wrote `date +%s%N` to a file; milliseconds since 1970. */
export const stampedMs = (file: string): Promise<number> =>
  eventually(`a time in ${file}`, 60_000, async () => {
    try {
      return Number(readFileSync(file, 'utf8').trim()) / 1e6;
    } catch {
      return undefined;
    }
  });
