import { afterAll, beforeAll, expect, test } from 'vitest';
import { systemClock } from '../../service/clock.ts';
import { BatchSilence } from '../../site-gateway/lrms/batch/batch-command.ts';
import { openSlurm } from '../../site-gateway/lrms/slurm/slurm.ts';
import { openSaidCommands, type SaidCommands } from '../fakes/said-commands.ts';

/** Words of libslurm 22.05. */
const submissionFailed = (words: string): string =>
  `sbatch: error: Batch job submission failed: ${words}\n`;

let said: SaidCommands;
beforeAll(() => {
  said = openSaidCommands();
});
afterAll(() => said[Symbol.dispose]());

const submit = (words: string, before = '') => {
  said.say('sbatch', { stderr: `${before}${submissionFailed(words)}`, exitCode: 1 });
  const slurm = openSlurm({
    conf: '',
    path: said.bin,
    partitions: [],
    account: '',
    reservation: '',
    licences: {},
    extraArgs: [],
    clock: systemClock,
  });
  return slurm.submit({
    token: '0123456789abcdef',
    directory: '/spool/submissions/0123456789abcdef',
    script: '/spool/batch-script',
    count: 1,
    needs: { cpus: 1, memoryBytes: 2 ** 20, gpus: 0, nodes: 1, walltimeMs: 0 },
    comment: 'grid attempt one',
  });
};

test.for([
  'Unable to contact slurm controller (connect failure)',
  'Socket timed out on send/recv operation',
  'Unexpected message received',
  'Message receive failure',
  'I/O error writing script/environment to file',
  'Controller is in standby mode, try a different controller',
])('what is the trouble of Slurm itself refuses no job: %s', async (words) => {
  await expect(submit(words)).rejects.toThrow(BatchSilence);
});

test('a Slurm that takes no jobs from anybody for now is full', async () => {
  expect(await submit('System submissions disabled')).toMatchObject({ kind: 'full' });
});

/** Said of all limits of QOS and associations: which one it is stands in the line before. */
const POLICY =
  "Job violates accounting/QOS policy (job submit limit, user's size and/or time limits)";

test.for([
  'QOSMaxSubmitJobPerUserLimit',
  'QOSGrpSubmitJobsLimit',
  'AssocMaxSubmitJobLimit',
  'AssocGrpSubmitJobsLimit',
  'MaxSubmitJobsPerAccount',
])('a Slurm that has as many jobs as it may is full: %s', async (reason) => {
  const words = `${reason}: ${POLICY}`;
  expect(await submit(POLICY, `sbatch: error: ${reason}\n`)).toEqual({ kind: 'full', words });
});

test.for([
  'QOSMaxWallDurationPerJobLimit',
  'QOSMaxCpuPerJobLimit',
  'QOSGrpCpuLimit',
  'QOSMaxCpuPerUserLimit',
])('a job that is larger than any may be is refused: %s', async (reason) => {
  const words = `${reason}: ${POLICY}`;
  expect(await submit(POLICY, `sbatch: error: ${reason}\n`)).toEqual({ kind: 'refused', words });
});

test('what is wrong with the job is refused, in words of Slurm', async () => {
  const words = 'Invalid account or account/partition combination specified';
  expect(await submit(words)).toEqual({ kind: 'refused', words });
});
