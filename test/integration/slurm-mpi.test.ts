import { gangContract } from '../contract/gang.contract.ts';
import { startSlurm } from '../support/slurm-cluster.ts';

gangContract('Slurm', async () => {
  const cluster = await startSlurm({ nodes: 2, cpus: 2, memoryMb: 1_000 });
  return {
    settings: ['lrms: slurm', `slurm: {conf: ${cluster.conf}}`],
    nodes: cluster.nodes,
    where: '$SLURMD_NODENAME',
    launchers: ['mpirun -npernode 1', 'srun -n2 --ntasks-per-node=1'],
    // Both nodes are on this machine, under one name: Open MPI must not take them for one.
    env: {
      OMPI_MCA_btl: 'self,tcp',
      OMPI_MCA_btl_tcp_if_include: 'lo',
      OMPI_MCA_oob_tcp_if_include: 'lo',
    },
    [Symbol.asyncDispose]: () => cluster[Symbol.asyncDispose](),
  };
});
