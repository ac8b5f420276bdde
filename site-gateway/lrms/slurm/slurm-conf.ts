import { constants } from 'node:fs';
import { access } from 'node:fs/promises';
import { readTrouble } from '../../../service/staging/file-errors.ts';
import { BatchSilence } from '../batch/batch-command.ts';

/** Throws BatchSilence where a slurm.conf that is named cannot be read: the commands look for others then, and take their time. */
export async function requireConf(conf: string): Promise<void> {
  if (conf === '') return;
  await access(conf, constants.R_OK).catch((error: unknown) => {
    throw new BatchSilence(
      `${conf}, which \`slurm.conf\` in the configuration names, ${readTrouble(error)}`,
      { cause: error },
    );
  });
}
