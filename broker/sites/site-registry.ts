import { type Dn, dn, type SiteId, siteId } from '../../core/ids.ts';
import { needOf } from '../../core/match/need.ts';
import type { Offer } from '../../core/match/offer.ts';
import { type Conduct, GOOD_CONDUCT } from '../../core/match/quarantine.ts';
import type { JobTable } from '../jobs/job-table.ts';
import { type AttemptRecord, classOf } from '../jobs/records.ts';
import type { LedgerDb, SiteRow } from '../ledger/ledger.ts';
import type { Change } from '../ledger/recorder.ts';

/** A site as the broker knows it. */
export interface SiteRecord {
  readonly id: SiteId;
  readonly address: string;
  readonly dn: Dn;
  wanted: 'up' | 'draining';
  readonly enrolledAtMs: number;
  readonly enrolledBy: string;
  /** How the connection stands: never heard of, answers, does not answer, silent beyond its lease. */
  link: 'unknown' | 'up' | 'unreachable' | 'lost';
  /** Why the link is not up; '' otherwise. */
  trouble: string;
  /** Wall clock; 0 for never. */
  lastHeardAtMs: number;
  /** By how much its clock is ahead, or behind where it is negative; 0 for so little that it harms nobody. */
  clockAheadMs: number;
  offer?: Offer;
  /** Counts the offers, to tell whether one came in while a call was under way. */
  offers: number;
  /** Replaced by each change, and written with what changed it. */
  conduct: Conduct;
  /** The task that was let in to try it while it is quarantined; after a restart another one is. */
  probe?: AttemptRecord;
  /** Attempts that were placed there and that `offer` does not show yet. */
  readonly unreflected: Set<AttemptRecord>;
}

/** The enrolled sites. */
export type SiteRegistry = Map<SiteId, SiteRecord>;

export async function loadSites(db: LedgerDb): Promise<SiteRegistry> {
  const rows = await db.selectFrom('sites').selectAll().execute();
  return new Map(rows.map((row) => [siteId(row.id), siteRecord(row)]));
}

export const siteRecord = (row: SiteRow): SiteRecord => ({
  id: siteId(row.id),
  address: row.address,
  dn: dn(row.dn),
  wanted: row.wanted,
  enrolledAtMs: row.enrolled_ms,
  enrolledBy: row.enrolled_by,
  link: 'unknown',
  trouble: '',
  lastHeardAtMs: 0,
  clockAheadMs: 0,
  offers: 0,
  conduct: row.conduct === null ? GOOD_CONDUCT : (JSON.parse(row.conduct) as Conduct),
  unreflected: new Set(),
});

export const siteRow = (site: SiteRecord): SiteRow => ({
  id: site.id,
  address: site.address,
  dn: site.dn,
  wanted: site.wanted,
  enrolled_ms: site.enrolledAtMs,
  enrolled_by: site.enrolledBy,
  conduct: site.conduct === GOOD_CONDUCT ? null : JSON.stringify(site.conduct),
});

/** What is to be written of a site beside a change that may have told something of it. */
export const conductRows = (site: SiteRecord, before: Conduct): Pick<Change, 'sites'> =>
  site.conduct === before ? {} : { sites: [siteRow(site)] };

/** Less than what certificates bear; a word may have been a while on its way. */
const BEARABLE_SKEW_MS = 30_000;

/** Notes what the clock of a gateway shows; 0 for one that does not say. */
export function noteClock(site: SiteRecord, theirMs: number, nowMs: number): void {
  const aheadMs = theirMs === 0 ? 0 : theirMs - nowMs;
  site.clockAheadMs = Math.abs(aheadMs) < BEARABLE_SKEW_MS ? 0 : aheadMs;
}

/** A new offer, or a beacon that says that the last one still holds: what is in the journal there is counted in it. */
export function noteAdvertisement(site: SiteRecord, offer: Offer | undefined, nowMs: number): void {
  site.lastHeardAtMs = nowMs;
  for (const attempt of site.unreflected)
    if (attempt.acknowledged) site.unreflected.delete(attempt);
  if (offer === undefined) return;
  site.offer = offer;
  site.offers += 1;
}

/**
 * The gateway has these attempts in its journal now. An offer that came in since the call was sent may have been made
 * before or after that; it was after if it is no better than with all of them counted.
 */
export function noteAccepted(
  site: SiteRecord,
  table: JobTable,
  accepted: readonly AttemptRecord[],
  offersBefore: number,
): void {
  for (const attempt of accepted) attempt.acknowledged = true;
  if (site.offer === undefined || site.offers === offersBefore) return;
  const { totalCpus, freeCpus } = site.offer;
  let known = 0;
  for (const { acknowledged, task } of table.liveAt(site.id))
    if (acknowledged) known += needOf(classOf(task).ask.resources).cpus;
  if (totalCpus - freeCpus < Math.min(totalCpus, known)) return;
  for (const attempt of accepted) site.unreflected.delete(attempt);
}
