import { afterAll, beforeAll } from 'vitest';
import { systemClock } from '../../service/clock.ts';
import { openLog } from '../../service/log.ts';
import { openBatchLrms } from '../../site-gateway/lrms/batch/batch.ts';
import { loadTemplate, shippedTemplate } from '../../site-gateway/lrms/command/load-template.ts';
import { openCommand } from '../../site-gateway/lrms/command/open-command.ts';
import type { LrmsListener } from '../../site-gateway/lrms/lrms.ts';
import { lrmsContract } from '../contract/lrms.contract.ts';
import { commandOptionsOf } from '../fakes/command-options.ts';
import { type SlurmCluster, startSlurm } from '../support/slurm-cluster.ts';

let cluster: SlurmCluster;
beforeAll(async () => {
  cluster = await startSlurm({ nodes: 1, cpus: 2, memoryMb: 1_000 });
});
afterAll(() => cluster[Symbol.asyncDispose]());

const openOn = (spool: string, listener: LrmsListener) =>
  openBatchLrms({
    system: openCommand(
      commandOptionsOf(loadTemplate(shippedTemplate('slurm')), {
        env: { SLURM_CONF: cluster.conf },
      }),
    ),
    spool,
    clock: systemClock,
    log: openLog('test', 'warn'),
    listener,
    pollMs: 500,
  });

lrmsContract('the slurm template of the command LRMS', openOn, { many: 10, inOrder: false });
