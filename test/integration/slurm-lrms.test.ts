import { afterAll, beforeAll } from 'vitest';
import { systemClock } from '../../service/clock.ts';
import { openLog } from '../../service/log.ts';
import { openBatchLrms } from '../../site-gateway/lrms/batch.ts';
import type { LrmsListener } from '../../site-gateway/lrms/lrms.ts';
import { openSlurm } from '../../site-gateway/lrms/slurm.ts';
import { lrmsContract } from '../contract/lrms.contract.ts';
import { type SlurmCluster, startSlurm } from '../support/slurm-cluster.ts';

let cluster: SlurmCluster;
beforeAll(async () => {
  cluster = await startSlurm({ nodes: 1, cpus: 2, memoryMb: 1_000 });
});
afterAll(() => cluster[Symbol.asyncDispose]());

const openOn = (spool: string, listener: LrmsListener) =>
  openBatchLrms({
    system: openSlurm({
      conf: cluster.conf,
      path: process.env['PATH'] ?? '',
      partitions: [],
      account: '',
      extraArgs: [],
      uid: process.getuid?.() ?? 0,
    }),
    spool,
    clock: systemClock,
    log: openLog('test', 'warn'),
    listener,
    pollMs: 500,
  });

lrmsContract('Slurm', openOn, { many: 10, inOrder: false });
