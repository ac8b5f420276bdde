import { delimiter } from 'node:path';
import { systemClock } from '../../service/clock.ts';
import { openGridEngine } from '../../site-gateway/lrms/gridengine/gridengine.ts';
import { openSlurm } from '../../site-gateway/lrms/slurm/slurm.ts';
import { submitFaultsContract } from '../contract/submit-faults.contract.ts';
import { startGridEngine } from '../support/gridengine-cluster.ts';
import { startSlurm } from '../support/slurm-cluster.ts';

const PATH = process.env['PATH'] ?? '';

submitFaultsContract('Slurm', async () => {
  const cluster = await startSlurm({ nodes: 1, cpus: 8, memoryMb: 4_000 });
  const sleeper = ['--parsable', '--mem=10', '--output=/dev/null', '--wrap=sleep 300'];
  return {
    name: 'Slurm',
    command: 'sbatch',
    path: PATH,
    open: (bin) =>
      openSlurm({
        conf: cluster.conf,
        path: [bin, PATH].join(delimiter),
        partitions: [],
        account: '',
        reservation: '',
        licences: {},
        extraArgs: [],
        clock: systemClock,
      }),
    openTo: () => undefined,
    stranger: async () => (await cluster.run('sbatch', ...sleeper)).trim(),
    jobs: async () => (await cluster.run('squeue', '-h', '-o', '%A')).trim().split('\n'),
    remove: (job) => cluster.run('scancel', job),
    [Symbol.asyncDispose]: () => cluster[Symbol.asyncDispose](),
  };
});

submitFaultsContract('Grid Engine', async () => {
  const cluster = await startGridEngine({ hosts: 1, slots: 8, memoryMb: 4_000 });
  const path = [cluster.bin, PATH].join(delimiter);
  const sleeper = ['-terse', '-b', 'y', '-o', '/dev/null', '-j', 'y', '/bin/sleep', '300'];
  return {
    name: 'Grid Engine',
    command: 'qsub',
    path,
    open: (bin) => openGridEngine(cluster.options({ path: [bin, path].join(delimiter) })),
    openTo: (account) => cluster.openTo(account),
    stranger: async () => (await cluster.run('qsub', ...sleeper)).trim(),
    jobs: async () => {
      const lines = (await cluster.run('qstat', '-u', '*')).trim().split('\n').slice(2);
      return lines.map((line) => line.trim().split(/\s+/)[0] ?? '');
    },
    remove: (job) => cluster.run('qdel', job),
    [Symbol.asyncDispose]: () => cluster[Symbol.asyncDispose](),
  };
});
