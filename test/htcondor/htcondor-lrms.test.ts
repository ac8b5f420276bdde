import { userInfo } from 'node:os';
import { systemClock } from '../../service/clock.ts';
import { openLog } from '../../service/log.ts';
import { openBatchLrms } from '../../site-gateway/lrms/batch/batch.ts';
import { openHTCondor } from '../../site-gateway/lrms/htcondor/htcondor.ts';
import type { LrmsListener } from '../../site-gateway/lrms/lrms.ts';
import { lrmsContract } from '../contract/lrms.contract.ts';

const openOn = (spool: string, listener: LrmsListener) =>
  openBatchLrms({
    system: openHTCondor({
      config: process.env['CONDOR_CONFIG'] ?? '',
      path: process.env['PATH'] ?? '',
      slots: '',
      accountingGroup: '',
      patienceMs: 20_000,
      lines: [],
      user: userInfo().username,
    }),
    spool,
    clock: systemClock,
    log: openLog('test', 'warn'),
    listener,
    pollMs: 500,
  });

lrmsContract('HTCondor', openOn, { many: 10, inOrder: false });
