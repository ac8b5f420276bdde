import { join } from 'node:path';
import { batchSiteContract } from '../contract/batch-site.contract.ts';
import { startGridEngine } from '../support/gridengine-cluster.ts';

batchSiteContract(
  'Grid Engine',
  async () => {
    const cluster = await startGridEngine({ hosts: 1, slots: 2, memoryMb: 1_000 });
    return {
      settings: cluster.settings,
      queue: async () => {
        if ((await cluster.run('qstat', '-u', '*')) === '') return '';
        const jobs = await cluster.run('qstat', '-j', '*');
        return [...jobs.matchAll(/^context: +grid=(.*)$/gm)].map(([, words]) => words).join('\n');
      },
      owners: async () => {
        const lines = (await cluster.run('qstat', '-u', '*')).trim().split('\n').slice(2);
        return lines.map((line) => line.trim().split(/\s+/)[3]).join('\n');
      },
      openTo: (account) => cluster.openTo(account),
      sleeper: (name) => [
        ...Object.entries(cluster.environment).map(([key, value]) => `${key}=${value}`),
        ...[join(cluster.bin, 'qsub'), '-N', name, '-b', 'y', '-o', '/dev/null', '-j', 'y'],
        ...['-wd', '/', 'sleep', '600'],
      ],
      [Symbol.asyncDispose]: () => cluster[Symbol.asyncDispose](),
    };
  },
  {
    words: [
      '#$ -l h_rt=1',
      '\n#$ -q nowhere\n',
      '$TASK_ID $JOB_ID',
      '-q',
      '@/etc/passwd',
      'a,b=c:d',
    ],
    env: { SGE_TASK_ID: '77', JOB_ID: '1', GRID_NOTIFY: 'no', NSLOTS: '9' },
    waits: /^waits in Grid Engine: .*(?:slots|overload|full)/,
  },
);
