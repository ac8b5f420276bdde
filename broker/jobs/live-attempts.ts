import type { SiteId, VoName } from '../../core/ids.ts';
import { openSiteWaits, type SiteWaits } from '../matching/site-waits.ts';
import type { AttemptRecord } from './records.ts';

/** Live attempts by site, counted as they come and go: a site may have 10^5 of them, and each round asks. */
export interface LiveAttempts {
  /** Live attempts at a site. */
  liveAt(site: SiteId): ReadonlySet<AttemptRecord>;
  /** The VOs that they are of. */
  vosAt(site: SiteId): readonly VoName[];
  /** How many of them wait in the backlog of the site. */
  waitingAt(site: SiteId): number;
  /** How long they wait there. */
  waitsAt(site: SiteId): SiteWaits;
  /** It waits in the backlog no more. */
  leaveBacklog(attempt: AttemptRecord): void;
}

interface Mutable extends LiveAttempts {
  readonly add: (attempt: AttemptRecord) => void;
  readonly remove: (attempt: AttemptRecord) => void;
}

interface AtSite {
  readonly live: Set<AttemptRecord>;
  readonly vos: Map<VoName, number>;
  readonly waits: SiteWaits;
  waiting: number;
}

const NOBODY: ReadonlySet<AttemptRecord> = new Set();

export function openLiveAttempts(): Mutable {
  const sites = new Map<SiteId, AtSite>();
  const at = (site: SiteId): AtSite => {
    const known = sites.get(site);
    if (known !== undefined) return known;
    const fresh = {
      live: new Set<AttemptRecord>(),
      vos: new Map(),
      waits: openSiteWaits(),
      waiting: 0,
    };
    sites.set(site, fresh);
    return fresh;
  };
  return {
    liveAt: (site) => sites.get(site)?.live ?? NOBODY,
    vosAt: (site) => [...(sites.get(site)?.vos.keys() ?? [])],
    waitingAt: (site) => sites.get(site)?.waiting ?? 0,
    waitsAt: (site) => at(site).waits,
    leaveBacklog: (attempt) => {
      if (attempt.waiting) at(attempt.site).waiting -= 1;
      attempt.waiting = false;
    },
    add: (attempt) => {
      const { vo } = attempt.task.job;
      const site = at(attempt.site);
      site.live.add(attempt);
      site.vos.set(vo, (site.vos.get(vo) ?? 0) + 1);
      if (attempt.waiting) site.waiting += 1;
      // One that the ledger knows of.
      if (attempt.state === 'submitted') site.waits.queue(attempt, undefined, attempt.placedAtMs);
    },
    remove: (attempt) => {
      const { vo } = attempt.task.job;
      const { live, vos, waits } = at(attempt.site);
      live.delete(attempt);
      waits.leave(attempt);
      const left = (vos.get(vo) ?? 0) - 1;
      if (left > 0) vos.set(vo, left);
      else vos.delete(vo);
    },
  };
}
