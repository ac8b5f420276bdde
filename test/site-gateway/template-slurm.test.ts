import { afterEach, beforeEach, expect, test } from 'vitest';
import { openSaidCommands, type SaidCommands } from '../fakes/said-commands.ts';
import { openTemplate, orderOf } from '../fakes/template-orders.ts';

let commands: SaidCommands;
beforeEach(() => {
  commands = openSaidCommands();
});
afterEach(() => commands[Symbol.dispose]());

/** What is said here is of Slurm 22.05. */
test.for([
  ['full', 'QOSMaxSubmitJobPerUserLimit'],
  ['full', 'QOSGrpSubmitJobsLimit'],
  ['full', 'AssocMaxSubmitJobLimit'],
  ['full', 'MaxSubmitJobsPerAccount'],
  ['refused', 'QOSMaxWallDurationPerJobLimit'],
  ['refused', 'QOSGrpCpuLimit'],
] as const)(
  'the slurm template reads an answer as %s where the limit is %s',
  async ([kind, limit]) => {
    const policy =
      "Job violates accounting/QOS policy (job submit limit, user's size and/or time limits)";
    const stderr = `sbatch: error: ${limit}\nsbatch: error: Batch job submission failed: ${policy}\n`;
    commands.say('sbatch', { stderr, exitCode: 1 });
    expect(await openTemplate('slurm', commands.bin).submit(orderOf())).toMatchObject({ kind });
  },
);
