import { background, pause } from '../background.ts';
import type { Log } from '../log.ts';
import { fetchTrust, installTrust } from './fetch-trust.ts';
import { readAuthorities } from './read-trust.ts';

/** Whose trust files are fetched, and where to. */
export interface KeepTrustOptions {
  /** `host:port` of the authority; its certificate is in `dir` already. */
  readonly authority: string;
  /** Trust directory. */
  readonly dir: string;
  readonly everyMs: number;
  readonly log: Log;
}

/** After a failure it is tried again this soon, or after `everyMs` where that is sooner. */
const AGAIN_MS = 300_000;

/**
 * Fetches an authority's revocation list and signing policy now and then again and again, so that a service needs no
 * cron job for it. A failure is logged: the list that is there stays good until its own end.
 */
export function keepTrust({ authority, dir, everyMs, log }: KeepTrustOptions): Disposable {
  const stop = new AbortController();
  const { signal } = stop;
  const once = async (): Promise<boolean> => {
    try {
      await installTrust(await fetchTrust(authority, readAuthorities(dir), signal), { dir });
      return true;
    } catch (error) {
      if (!signal.aborted) log.warn({ err: error, authority }, 'trust could not be fetched');
      return false;
    }
  };
  const run = async (): Promise<void> => {
    while (!signal.aborted)
      await pause((await once()) ? everyMs : Math.min(AGAIN_MS, everyMs), signal);
  };
  background('keep trust', run(), log);
  return { [Symbol.dispose]: () => stop.abort() };
}
