import type { AttemptId, SiteId } from '../../core/ids.ts';
import type { TailChunk } from '../../proto/gen/grid/v1/common.ts';
import type { InspectResponse } from '../../proto/gen/grid/v1/site.ts';
import type { AttemptRecord, Why } from '../jobs/records.ts';
import type { Superfluous } from '../jobs/updates.ts';
import type { LinkOptions } from './site-context.ts';
import { openSiteLink, type SiteLink, type TailWish } from './site-link.ts';
import type { SiteRecord } from './site-registry.ts';

/** The links to all enrolled sites. */
export interface SiteLinks extends AsyncDisposable {
  open(site: SiteRecord): void;
  /** Sends attempts, which must be in the ledger, each to its site. */
  place(attempts: readonly AttemptRecord[]): void;
  cancel(attempts: readonly Superfluous[]): void;
  /** Has attempts of one site ended so that their tasks wait again. */
  evict(site: SiteId, attempts: readonly AttemptRecord[], why: Why): Promise<void>;
  /** Undefined where there is no such site any more. */
  inspect(site: SiteId, signal: AbortSignal): Promise<InspectResponse> | undefined;
  /** Talks to the site no more. */
  close(site: SiteId): Promise<void>;
  /** Undefined where there is no such site any more. */
  tail(site: SiteId, wish: TailWish, signal: AbortSignal): AsyncIterable<TailChunk> | undefined;
}

/** `optionsFor` says how to reach a site. */
export function openSiteLinks(
  optionsFor: (
    site: SiteRecord,
  ) => Omit<LinkOptions, 'onSuperfluous' | 'nextSession' | 'noteDeposed'>,
): SiteLinks {
  const links = new Map<SiteId, SiteLink>();
  // Of all links together: a site that has left and comes back has the same gateway, which remembers.
  let sessions = 0;
  const nextSession = (): number => {
    sessions += 1;
    return sessions;
  };
  /** Sites that say that another broker has taken the place of this one. A single gateway must not end the broker of all. */
  const deposing = new Set<SiteId>();
  const deposedAt = (site: SiteId) => (saysSo: boolean) => {
    if (saysSo) deposing.add(site);
    else deposing.delete(site);
    return saysSo && [...links.keys()].every((id) => deposing.has(id));
  };
  const cancel = (attempts: readonly Superfluous[]): void => {
    for (const [site, some] of Map.groupBy(attempts, (attempt) => attempt.site))
      links.get(site)?.cancel(some.map(({ attemptId }): AttemptId => attemptId));
  };
  return {
    open: (site) => {
      const noteDeposed = deposedAt(site.id);
      const common = { onSuperfluous: cancel, nextSession, noteDeposed };
      links.set(site.id, openSiteLink({ ...optionsFor(site), ...common }));
    },
    place: (attempts) => {
      for (const [site, some] of Map.groupBy(attempts, (attempt) => attempt.site))
        links.get(site)?.place(some);
    },
    cancel,
    evict: async (site, attempts, why) => links.get(site)?.evict(attempts, why),
    inspect: (site, signal) => links.get(site)?.inspect(signal),
    close: async (site) => {
      const link = links.get(site);
      links.delete(site);
      deposing.delete(site);
      await link?.close();
    },
    tail: (site, wish, signal) => links.get(site)?.tail(wish, signal),
    [Symbol.asyncDispose]: async () => {
      await Promise.all([...links.values()].map((link) => link.close()));
    },
  };
}
