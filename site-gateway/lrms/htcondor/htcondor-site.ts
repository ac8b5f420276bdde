import { GridError, type Problem } from '../../../core/errors.ts';
import type { OwnAccount } from '../../../service/account-name.ts';
import type { SiteConfig } from '../../config.ts';
import { pathFault } from '../command-site.ts';
import type { HTCondorOptions } from './htcondor.ts';

/** HTCondor takes jobs of root from nobody. */
const ROOT: Problem = {
  where: 'lrms:',
  message:
    'HTCondor runs no jobs of root, and the gateway runs as root: give it another account, with `grid site enrol --account NAME` or by hand',
};

/**
 * What the HTCondor of a site needs, its commands being in `commandPath`; throws CONFIG_INVALID where the gateway's account or
 * the configuration cannot do.
 */
export function htcondorOptions(
  { htcondor, spool }: Pick<SiteConfig, 'htcondor' | 'spool'>,
  { uid, username }: OwnAccount,
  commandPath: string,
): HTCondorOptions {
  const problems = [pathFault(spool), uid === 0 ? ROOT : undefined].filter(
    (one) => one !== undefined,
  );
  if (problems.length > 0)
    throw new GridError('CONFIG_INVALID', 'lrms: htcondor cannot be used like this', { problems });
  return {
    config: htcondor.config ?? '',
    path: htcondor.bin === undefined ? commandPath : `${htcondor.bin}:${commandPath}`,
    slots: htcondor.slots,
    accountingGroup: htcondor['accounting-group'],
    patienceMs: htcondor['host-patience'],
    lines: htcondor['submit-lines'],
    user: username,
  };
}
