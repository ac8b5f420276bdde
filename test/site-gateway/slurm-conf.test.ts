import { expect, test } from 'vitest';
import { systemClock } from '../../service/clock.ts';
import { openSlurm } from '../../site-gateway/lrms/slurm/slurm.ts';
import { SELF } from '../fakes/job-owners.ts';

test('a slurm.conf that is not there is named at once', async () => {
  const system = openSlurm({
    conf: '/nonexistent/slurm.conf',
    path: '/usr/bin:/bin',
    partitions: [],
    account: '',
    licences: {},
    reservation: '',
    extraArgs: [],
    clock: systemClock,
  });
  await expect(system.poll(SELF)).rejects.toThrow(
    '/nonexistent/slurm.conf, which `slurm.conf` in the configuration names, is not there',
  );
});
