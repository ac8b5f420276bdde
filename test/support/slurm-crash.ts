import { appendFileSync } from 'node:fs';
import { join } from 'node:path';
import { pause } from '../../service/background.ts';
import { processesNaming, until } from './daemons.ts';
import type { SlurmCluster } from './slurm-cluster.ts';

/** Higher than any number that it has given. */
const FIRST_NUMBER = 100_000;

/**
 * Ends slurmctld as a crash does, and starts it again. It has forgotten what it had not written down: it would end such a job
 * that still runs, and what a node tells late of one would count for a new job of the same number.
 */
export async function crashSlurmctld(cluster: SlurmCluster): Promise<void> {
  await cluster.kill('slurmctld');
  await pause(1_000);
  const left = (): readonly number[] => processesNaming(join(cluster.dir, 'spool'));
  await until('what ran on the nodes has ended', async () => left().length === 0);
  appendFileSync(cluster.conf, `FirstJobId=${FIRST_NUMBER}\n`);
  cluster.start('slurmctld');
}
