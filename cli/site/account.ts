import { dirname } from 'node:path';
import { GridError } from '../../core/errors.ts';
import { accountName } from '../../service/account-name.ts';
import { ensureDirectory } from '../../service/directories.ts';
import { runTool } from '../../service/run-tool.ts';
import type { Context } from '../context.ts';
import type { Input } from '../input.ts';
import type { SiteLayout } from './layout.ts';
import { hasSystemd, unitUser } from './unit.ts';

/**
 * Account that the gateway of a site is to run as: `--account`, else that of the unit which is there, else our own. Throws
 * USAGE where that account does not exist, or cannot be given.
 */
export async function gatewayAccount(
  { signal }: Context,
  input: Input,
  site: string,
): Promise<string> {
  const own = accountName();
  const wanted = input.text('account') ?? (hasSystemd() ? unitUser(site) : undefined) ?? own;
  if (wanted === own) return own;
  if (process.getuid?.() !== 0)
    throw new GridError('USAGE', `only root can give the gateway another account: you are ${own}`);
  if (!hasSystemd() && !input.on('print-unit'))
    throw new GridError(
      'USAGE',
      `systemd does not run this machine: enrol as ${wanted} itself (sudo -iu ${wanted})`,
    );
  const { ok } = await runTool('id', ['-u', '--', wanted], { timeoutMs: 10_000, signal });
  if (!ok)
    throw new GridError(
      'USAGE',
      `there is no account '${wanted}': useradd --system --create-home ${wanted}`,
    );
  return wanted;
}

/** Makes the directories above those of a site, such that any account gets through, as in /etc and /var/lib. */
export function makeWay({ dir, spool }: SiteLayout): void {
  if (process.getuid?.() !== 0) return;
  for (const folder of [dir, spool]) ensureDirectory(dirname(folder), 0o755);
}

/** Lets the account have what `grid site enrol` made; throws UNAVAILABLE where that cannot be, or it cannot get there. */
export async function handOver(
  { dir, spool, config }: SiteLayout,
  user: string,
  signal: AbortSignal,
): Promise<void> {
  if (user === accountName()) return;
  const words = ['-R', '--', `${user}:`, dir, spool];
  const { ok, output } = await runTool('chown', words, { timeoutMs: 600_000, signal });
  if (!ok) throw new GridError('UNAVAILABLE', `chown ${words.join(' ')}: ${output.trim()}`);
  for (const [test, file] of [
    ['-r', config],
    ['-w', spool],
  ] as const) {
    const tried = ['-u', user, '--', 'test', test, file];
    if (!(await runTool('runuser', tried, { timeoutMs: 10_000, signal })).ok)
      throw new GridError(
        'UNAVAILABLE',
        `${user} cannot get to ${file}: let others through the directories above it (chmod o+x)`,
      );
  }
}
