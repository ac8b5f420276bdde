import { GridError } from '../../core/errors.ts';
import type { SignedUrl } from '../../proto/gen/grid/v1/site.ts';
import type { Clock } from '../../service/clock.ts';
import { openChange } from '../change.ts';

/**
 * Addresses of S3 objects with the signature that opens them for a while, by job. The broker signs them; they are in memory
 * only, never in journal or log, and the broker sends them again after a restart and before they end.
 */
export interface SignedUrls {
  add(fresh: readonly SignedUrl[]): void;
  /** One that still holds; waits `patienceMs` for the broker to send it, then throws FETCH_FAILED. */
  get(jobId: string, url: string, signal: AbortSignal): Promise<URL>;
  /** Forgets those of all other jobs. */
  keepOnly(jobIds: ReadonlySet<string>): void;
}

export function openSignedUrls(clock: Clock, patienceMs: number): SignedUrls {
  const byJob = new Map<string, Map<string, SignedUrl>>();
  const change = openChange();
  const valid = (jobId: string, url: string): SignedUrl | undefined => {
    const known = byJob.get(jobId)?.get(url);
    return known !== undefined && known.expiresAtMs > clock.nowMs() ? known : undefined;
  };
  return {
    add: (fresh) => {
      if (fresh.length === 0) return;
      for (const signed of fresh) {
        const ofJob = byJob.get(signed.jobId) ?? new Map<string, SignedUrl>();
        ofJob.set(signed.url, signed);
        byJob.set(signed.jobId, ofJob);
      }
      change.announce();
    },
    get: async (jobId, url, signal) => {
      const deadlineMs = clock.monotonicMs() + patienceMs;
      while (clock.monotonicMs() < deadlineMs) {
        signal.throwIfAborted();
        const seen = change.version();
        const found = valid(jobId, url);
        if (found !== undefined) return new URL(found.signed);
        await change.after(seen, deadlineMs - clock.monotonicMs(), signal);
      }
      throw new GridError('FETCH_FAILED', `the broker has sent no signature for '${url}'`);
    },
    keepOnly: (jobIds) => {
      for (const id of byJob.keys()) if (!jobIds.has(id)) byJob.delete(id);
    },
  };
}
