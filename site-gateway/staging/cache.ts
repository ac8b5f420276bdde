import { join } from 'node:path';
import type { Clock } from '../../service/clock.ts';
import type { Log } from '../../service/log.ts';
import { type CacheKeeper, openCacheKeeper } from '../../service/staging/cache-keeper.ts';
import type { SiteConfig } from '../config.ts';

/** Part of the upper bound down to which a cache is cleared when the administrator named no lower one. */
const LOW = 0.8;

/** Directory of the cached input files, with a folder for each VO. */
export const cacheDirectory = (config: Pick<SiteConfig, 'spool'>): string =>
  join(config.spool, 'cache');

/**
 * How tasks get the files of the cache. A link is only for whom no mode lets change what is behind it: a task of the gateway's
 * own account can set the mode, write, and set the time back, and every other task would have what it wrote. Where tasks are kept
 * apart each gets copies, so also where they run as root.
 */
export function placementOf(
  { accounts, sandbox }: Pick<SiteConfig, 'accounts' | 'sandbox'>,
  uid = process.getuid?.(),
): 'link' | 'copy' {
  if (accounts.length > 0) return 'link';
  const keepsApart = sandbox === 'namespaces' || sandbox === 'cgroup';
  return uid === 0 || keepsApart ? 'copy' : 'link';
}

/** The keeper of a site's cache, within the bounds of its configuration. */
export function siteCache(config: SiteConfig, clock: Clock, log: Log): CacheKeeper {
  const highBytes = config['cache-high'];
  const lowBytes = Math.min(highBytes, config['cache-low'] ?? Math.floor(highBytes * LOW));
  return openCacheKeeper({
    dir: cacheDirectory(config),
    bounds: { highBytes, lowBytes },
    clock,
    log,
  });
}
