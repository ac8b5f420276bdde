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

/** Of two lines of a submit file HTCondor takes the later: what `slots` requires would be lost. */
const TWO_REQUIREMENTS: Problem = {
  where: 'htcondor.submit-lines:',
  message:
    'this sets requirements, and so does htcondor.slots: say in `slots` all that a slot must be',
};

const hasRequirements = (lines: readonly string[]): boolean =>
  lines.some((line) => /^\s*requirements\s*=/i.test(line));

/**
 * What the HTCondor of a site needs, its commands being in `commandPath`; throws CONFIG_INVALID where the gateway's account or
 * the configuration cannot do.
 */
export function htcondorOptions(
  { htcondor, spool }: Pick<SiteConfig, 'htcondor' | 'spool'>,
  { uid, username }: OwnAccount,
  commandPath: string,
): HTCondorOptions {
  const isLost = htcondor.slots !== '' && hasRequirements(htcondor['submit-lines']);
  const problems = [
    pathFault(spool),
    uid === 0 ? ROOT : undefined,
    isLost ? TWO_REQUIREMENTS : undefined,
  ].filter((one) => one !== undefined);
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
