import { batchSiteContract } from '../contract/batch-site.contract.ts';
import { startSlurm } from '../support/slurm-cluster.ts';

batchSiteContract(
  'Slurm',
  async () => {
    const cluster = await startSlurm({ nodes: 1, cpus: 2, memoryMb: 1_000 });
    return {
      settings: ['lrms: slurm', `slurm: {conf: ${cluster.conf}}`],
      queue: async () => (await cluster.run('squeue', '-h', '-o', '%k')).trim(),
      owners: async () => (await cluster.run('squeue', '-h', '-o', '%u')).trim(),
      openTo: () => undefined,
      sleeper: (name) => [
        `SLURM_CONF=${cluster.conf} sbatch -J ${name} --mem=10 -o /dev/null --wrap 'sleep 600'`,
      ],
      [Symbol.asyncDispose]: () => cluster[Symbol.asyncDispose](),
    };
  },
  {
    words: ['#SBATCH --time=0', '\n#SBATCH --partition=nowhere\n', '%j %a'],
    env: { SLURM_ARRAY_TASK_ID: '77', SBATCH_PARTITION: 'nowhere' },
    waits: /^waits in Slurm: Resources$/,
  },
);
