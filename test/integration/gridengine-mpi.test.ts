import { gangContract } from '../contract/gang.contract.ts';
import { startGridEngine } from '../support/gridengine-cluster.ts';

gangContract('Grid Engine', async () => {
  const cluster = await startGridEngine({ hosts: 2, slots: 2, memoryMb: 1_000 });
  return {
    settings: cluster.settings,
    nodes: cluster.hosts,
    where: '$(uname -n)',
    launchers: ['mpirun -npernode 1'],
    env: { OMPI_MCA_btl: 'self,tcp', OMPI_MCA_btl_tcp_if_include: 'eth0' },
    [Symbol.asyncDispose]: () => cluster[Symbol.asyncDispose](),
  };
});
