import { homedir } from 'node:os';
import { join, resolve } from 'node:path';
import type { Context } from '../context.ts';
import type { Input } from '../input.ts';

/** Where a site that `grid site enrol` has made keeps what. */
export interface SiteLayout {
  readonly dir: string;
  readonly config: string;
  readonly certificate: string;
  readonly key: string;
  readonly trust: string;
  readonly spool: string;
  /** The gateway's own output is `<stem>.out` and `<stem>.log`. */
  readonly logStem: string;
  /** Process id of a gateway that no systemd looks after. */
  readonly pid: string;
}

/** As root below /etc and /var/lib, otherwise below the home directory, unless `--dir` and `--spool` say where. */
export function siteLayout(context: Context, input: Input, site: string): SiteLayout {
  const named = input.text('dir');
  const root = process.getuid?.() === 0 && named === undefined;
  const home = context.env['HOME'] ?? homedir();
  const dir = resolve(
    context.cwd,
    named ?? (root ? `/etc/hanse/${site}` : join(home, '.hanse', 'sites', site)),
  );
  const spool = input.text('spool');
  return {
    dir,
    config: join(dir, 'site.yaml'),
    certificate: join(dir, 'hostcert.pem'),
    key: join(dir, 'hostkey.pem'),
    trust: join(dir, 'certificates'),
    spool:
      spool === undefined
        ? join(root ? `/var/lib/hanse/${site}` : dir, 'spool')
        : resolve(context.cwd, spool),
    logStem: join(dir, 'gateway'),
    pid: join(dir, 'gateway.pid'),
  };
}
