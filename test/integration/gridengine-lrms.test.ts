import { afterAll, beforeAll } from 'vitest';
import { systemClock } from '../../service/clock.ts';
import { openLog } from '../../service/log.ts';
import { openBatchLrms } from '../../site-gateway/lrms/batch.ts';
import { openGridEngine } from '../../site-gateway/lrms/gridengine/gridengine.ts';
import type { LrmsListener } from '../../site-gateway/lrms/lrms.ts';
import { lrmsContract } from '../contract/lrms.contract.ts';
import { type GridEngineCluster, startGridEngine } from '../support/gridengine-cluster.ts';

let cluster: GridEngineCluster;
beforeAll(async () => {
  cluster = await startGridEngine({ hosts: 1, slots: 2, memoryMb: 1_000 });
});
afterAll(() => cluster[Symbol.asyncDispose]());

const openOn = (spool: string, listener: LrmsListener) =>
  openBatchLrms({
    system: openGridEngine(cluster.options()),
    spool,
    clock: systemClock,
    log: openLog('test', 'warn'),
    listener,
    pollMs: 500,
  });

lrmsContract('Grid Engine', openOn, { many: 10, inOrder: false, holdsToMemory: true });
