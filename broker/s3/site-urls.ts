import type { JobId } from '../../core/ids.ts';
import type { SignedUrl } from '../../proto/gen/grid/v1/site.ts';
import type { Clock } from '../../service/clock.ts';
import { type S3Secrets, SIGNED_MS } from './s3-secrets.ts';

/** Signed addresses for one gateway during one session; it may have forgotten what it was given before. */
export interface SiteUrls {
  /** For jobs that are about to be placed. */
  fresh(jobs: readonly JobId[]): Promise<SignedUrl[]>;
  /** For jobs that are there and whose addresses this session has not sent yet, or are about to end. */
  due(isThere: (job: JobId) => boolean): Promise<SignedUrl[]>;
}

/** An address that has less than this left is replaced. */
const RENEW_MS = SIGNED_MS / 3;

export function openSiteUrls(secrets: Pick<S3Secrets, 'sign' | 'jobs'>, clock: Clock): SiteUrls {
  const sent = new Map<string, number>();
  const fresh = async (jobs: readonly JobId[]): Promise<SignedUrl[]> => {
    const signed = await secrets.sign(jobs);
    for (const { jobId, expiresAtMs } of signed) sent.set(jobId, expiresAtMs);
    return [...signed];
  };
  return {
    fresh,
    due: (isThere) => {
      const nowMs = clock.nowMs();
      const old = secrets.jobs().filter((id) => (sent.get(id) ?? 0) - nowMs <= RENEW_MS);
      return fresh(old.filter(isThere));
    },
  };
}
