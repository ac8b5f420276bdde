import { delimiter } from 'node:path';
import { openGridEngine } from '../../site-gateway/lrms/gridengine/gridengine.ts';
import { submitFaultsContract } from '../contract/submit-faults.contract.ts';
import { startGridEngine } from '../support/gridengine-cluster.ts';

const PATH = process.env['PATH'] ?? '';

submitFaultsContract('Grid Engine', async () => {
  const cluster = await startGridEngine({ hosts: 1, slots: 32, memoryMb: 4_000 });
  const path = [cluster.bin, PATH].join(delimiter);
  const sleeper = ['-terse', '-b', 'y', '-o', '/dev/null', '-j', 'y', '/bin/sleep', '300'];
  return {
    name: 'Grid Engine',
    command: 'qsub',
    path,
    open: (bin, limits) =>
      openGridEngine(cluster.options({ path: [bin, path].join(delimiter), ...limits })),
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
