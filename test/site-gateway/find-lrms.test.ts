import { afterEach, beforeEach, expect, test } from 'vitest';
import { findLrms } from '../../site-gateway/lrms/find-lrms.ts';
import { openSaidCommands, type SaidCommands } from '../fakes/said-commands.ts';

/** What HTCondor 23.9.6 said; test/htcondor looks for the real one. Slurm and Grid Engine are found in test/e2e. */
let commands: SaidCommands;
beforeEach(() => {
  commands = openSaidCommands();
  commands.say('condor_submit', {});
  commands.say('condor_version', {
    stdout:
      '$CondorVersion: 23.9.6 2026-07-12 PackageID: 23.9.6+dfsg-2.1+b10 $\n$CondorPlatform: X86_64-Debian_13 $\n',
  });
  commands.say('condor_q', {});
  commands.say('condor_status', { stdout: 'exec1.pool.example\nexec1.pool.example\nlocalhost\n' });
});
afterEach(() => commands[Symbol.dispose]());

const find = (env: Readonly<Record<string, string>> = {}) =>
  findLrms({ PATH: commands.bin, ...env }, 'htcondor');

test('HTCondor is found with its pool and the configuration of the administrator', async () => {
  expect(await find({ CONDOR_CONFIG: '/opt/condor/etc/condor_config' })).toEqual({
    lrms: 'htcondor',
    words: 'HTCondor 23.9.6, a pool of 2 machines',
    elsewhere: true,
    settings: { htcondor: { config: '/opt/condor/etc/condor_config', bin: commands.bin } },
  });
});

test('a pool of this machine alone needs no spool that others see', async () => {
  commands.say('condor_status', { stdout: 'localhost\n' });
  const words = 'HTCondor 23.9.6, a pool of 1 machine';
  expect(await find()).toMatchObject({ words, elsewhere: false });
});

test.for([
  ['condor_q', { stderr: "\nError: Can't find address of local schedd\n", exitCode: 1 }, 'schedd'],
  ['condor_status', { stderr: 'Error: communication error\n', exitCode: 1 }, 'communication error'],
  ['condor_status', { stdout: '' }, 'its pool has no machine'],
] as const)('a pool whose %s says %o is not passed over', async ([command, said, words]) => {
  commands.say(command, said);
  expect(await find()).toEqual({
    code: 'UNAVAILABLE',
    trouble: expect.stringMatching(
      new RegExp(`^HTCondor is installed and does not answer \\(.*${words}.*--lrms fork`),
    ),
  });
});

test('a Slurm that says what nobody understands is not taken for one', async () => {
  commands.say('sbatch', {});
  commands.say('sinfo', { stdout: 'garbage half li' });
  expect(await findLrms({ PATH: commands.bin }, 'slurm')).toEqual({
    code: 'UNAVAILABLE',
    trouble: expect.stringMatching(/^Slurm is installed .*sinfo --version said 'garbage half li'/),
  });
});
