import { chmodSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type LocalGrid, startLocalGrid } from '../../support/local-grid.ts';
import { type SlurmCluster, type SlurmSize, startSlurm } from '../../support/slurm-cluster.ts';

/** A grid whose only site is a Slurm cluster on this machine. */
export interface SlurmGrid extends AsyncDisposable {
  readonly cluster: SlurmCluster;
  readonly grid: LocalGrid;
  /** Slurm's commands that the gateway has run since the start, in their order. */
  commands(): readonly string[];
}

const COMMANDS = ['sbatch', 'squeue', 'scancel', 'scontrol', 'sinfo', 'sacct'];

/** Starts both; `backlog` is how many tasks the site takes beyond its CPUs. */
export async function startSlurmGrid(size: SlurmSize, backlog: number): Promise<SlurmGrid> {
  await using stack = new AsyncDisposableStack();
  const cluster = stack.use(await startSlurm(size));
  const log = join(cluster.dir, 'log', 'commands');
  const bin = countedCommands(join(cluster.dir, 'bin'), log);
  const settings = { lrms: 'slurm', slurm: { conf: cluster.conf, bin }, backlog };
  const cpusPerSite = size.nodes * size.cpus;
  const grid = stack.use(await startLocalGrid({ sites: 1, cpusPerSite, siteSettings: [settings] }));
  const owned = stack.move();
  return {
    cluster,
    grid,
    commands: () => readFileSync(log, 'utf8').trim().split('\n'),
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

/** Slurm's commands, each of which says first that it was run. */
function countedCommands(dir: string, log: string): string {
  mkdirSync(dir);
  writeFileSync(log, '');
  for (const command of COMMANDS) {
    const file = join(dir, command);
    const script = `#!/bin/sh\necho ${command} >>'${log}'\nexec /usr/bin/${command} "$@"\n`;
    writeFileSync(file, script);
    chmodSync(file, 0o755);
  }
  return dir;
}
