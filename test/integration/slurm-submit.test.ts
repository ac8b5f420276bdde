import { delimiter } from 'node:path';
import { systemClock } from '../../service/clock.ts';
import { openSlurm } from '../../site-gateway/lrms/slurm/slurm.ts';
import { submitFaultsContract } from '../contract/submit-faults.contract.ts';
import { startSlurm } from '../support/slurm-cluster.ts';

const PATH = process.env['PATH'] ?? '';

submitFaultsContract('Slurm', async () => {
  const cluster = await startSlurm({ nodes: 1, cpus: 32, memoryMb: 4_000 });
  const sleeper = ['--parsable', '--mem=10', '--output=/dev/null', '--wrap=sleep 300'];
  return {
    name: 'Slurm',
    command: 'sbatch',
    path: PATH,
    open: (bin, limits) =>
      openSlurm({
        conf: cluster.conf,
        path: [bin, PATH].join(delimiter),
        partitions: [],
        account: '',
        reservation: '',
        licences: {},
        extraArgs: [],
        clock: systemClock,
        ...limits,
      }),
    openTo: () => undefined,
    stranger: async () => (await cluster.run('sbatch', ...sleeper)).trim(),
    jobs: async () => (await cluster.run('squeue', '-h', '-o', '%A')).trim().split('\n'),
    remove: (job) => cluster.run('scancel', job),
    [Symbol.asyncDispose]: () => cluster[Symbol.asyncDispose](),
  };
});
