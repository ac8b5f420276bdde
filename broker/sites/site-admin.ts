import { GridError } from '../../core/errors.ts';
import { dn, isSiteId, siteId } from '../../core/ids.ts';
import { type SiteView, waitAt } from '../../core/match/site-view.ts';
import { LEAST_WAIT_MS, WAIT_KINDS, WAYS } from '../../core/match/waits.ts';
import { counted } from '../../core/units.ts';
import type { Peer } from '../../core/vo/caller.ts';
import { type Access, isAdmin } from '../../core/vo/policy.ts';
import {
  type EnrolSiteRequest,
  Eviction,
  type RemoveSiteRequest,
  type SetSiteStateRequest,
  SiteState,
  type SiteSummary,
  type SiteWait,
} from '../../proto/gen/grid/v1/broker.ts';
import { offerToWire } from '../../service/rpc/wire.ts';
import { type Book, begin, commit } from '../book.ts';
import { release } from '../jobs/moves.ts';
import type { AttemptRecord, Why } from '../jobs/records.ts';
import type { SiteRow } from '../ledger/ledger.ts';
import { quarantineOf, trust } from './site-conduct.ts';
import type { SiteLinks } from './site-links.ts';
import { type SiteRecord, type SiteRegistry, siteRecord, siteRow } from './site-registry.ts';
import { viewOf } from './site-view.ts';

/** What administering sites works with. */
export interface AdminParts {
  readonly book: Book;
  readonly sites: SiteRegistry;
  readonly links: SiteLinks;
  readonly access: Access;
  readonly onChange: () => void;
}

/** A limited proxy lies with jobs, and jobs do not administer. */
function requireFull(peer: Peer): void {
  if (peer.limited)
    throw new GridError('PERMISSION_DENIED', 'a limited proxy may not administer sites');
}

/** Adds a site and begins to talk to it; the same request again changes nothing. */
export async function enrolSite(
  { book, sites, links, access }: AdminParts,
  caller: Peer,
  request: EnrolSiteRequest,
): Promise<SiteRecord> {
  const { id, address, dn: host } = request;
  requireFull(caller);
  if (!isAdmin(caller, access))
    throw new GridError('PERMISSION_DENIED', `${caller.dn} does not administer this grid`);
  if (!isSiteId(id)) throw new GridError('REQUEST_INVALID', `'${id.slice(0, 60)}' is no site id`);
  if (!/^.+:\d{1,5}$/.test(address))
    throw new GridError('REQUEST_INVALID', `'${address.slice(0, 80)}' is no address: host:port`);
  if (!host.startsWith('/'))
    throw new GridError('REQUEST_INVALID', `'${host.slice(0, 80)}' is no DN: /DC=org/.../CN=host`);
  const known = sites.get(id);
  if (known !== undefined) {
    if (known.address === address && known.dn === host) return known;
    const there = `at ${known.address} as ${known.dn}`;
    throw new GridError('ALREADY_EXISTS', `site ${id} is enrolled already, ${there}`);
  }
  const enrolled: SiteRow = {
    id,
    address,
    dn: dn(host),
    wanted: 'up',
    enrolled_ms: book.clock.nowMs(),
    enrolled_by: caller.dn,
    conduct: null,
  };
  const site = siteRecord(enrolled);
  sites.set(site.id, site);
  await book.recorder.record({ sites: [siteRow(site)] });
  links.open(site);
  return site;
}

/** The site, for those who may administer it; throws SITE_NOT_FOUND, PERMISSION_DENIED. */
export function administered({ sites, access }: AdminParts, caller: Peer, id: string): SiteRecord {
  requireFull(caller);
  const site = sites.get(siteId(id));
  if (site === undefined) throw new GridError('SITE_NOT_FOUND', `there is no site '${id}'`);
  if (!isAdmin(caller, access) && site.offer?.admins.includes(caller.dn) !== true)
    throw new GridError('PERMISSION_DENIED', `${caller.dn} administers neither grid nor ${id}`);
  return site;
}

/** Drains a site; or resumes it, and trusts it again if it is quarantined. */
export async function setSiteState(
  parts: AdminParts,
  caller: Peer,
  { id, state, eviction }: SetSiteStateRequest,
): Promise<SiteRecord> {
  const { book, onChange } = parts;
  const site = administered(parts, caller, id);
  if (state !== SiteState.SITE_STATE_UP && state !== SiteState.SITE_STATE_DRAINING)
    throw new GridError('REQUEST_INVALID', 'a site can be set to up or draining only');
  const gives = eviction !== Eviction.EVICTION_UNSPECIFIED;
  if (gives && (state !== SiteState.SITE_STATE_DRAINING || EVICTIONS[eviction] === undefined))
    throw new GridError('REQUEST_INVALID', 'only a site that drains gives back tasks');
  site.wanted = state === SiteState.SITE_STATE_UP ? 'up' : 'draining';
  if (site.wanted === 'up') trust(site);
  await book.recorder.record({ sites: [siteRow(site)] });
  book.log.info({ site: id, wanted: site.wanted, by: caller.dn }, 'site state was set');
  if (gives) await evict(parts, site, EVICTIONS[eviction] ?? (() => false));
  onChange();
  return site;
}

const waitsOf = (view: SiteView): SiteWait[] =>
  WAIT_KINDS.flatMap((kind) =>
    WAYS.map((way) => ({
      kind,
      backlog: way === 'wait',
      expectedMs: Math.round(waitAt(view, kind, way)),
    })),
  ).filter(({ expectedMs }) => expectedMs >= LEAST_WAIT_MS);

/** Which tasks a draining site gives back. */
const EVICTIONS: Readonly<Partial<Record<Eviction, (attempt: AttemptRecord) => boolean>>> = {
  [Eviction.EVICTION_WAITING]: ({ startedAtMs }) => startedAtMs === undefined,
  [Eviction.EVICTION_ALL]: () => true,
};

async function evict(
  { book, links }: AdminParts,
  site: SiteRecord,
  gone: (attempt: AttemptRecord) => boolean,
): Promise<void> {
  const attempts = [...book.table.liveAt(site.id)].filter(gone);
  const why = { reason: 'SITE_DRAINED', detail: `${site.id} is being drained` };
  await links.evict(site.id, attempts, why);
}

/**
 * Takes a drained site out of the grid and forgets it, so that its certificate stands for nothing any more. With
 * `force` its tasks wait again at once: the site is gone for good, or what it still runs does not count.
 */
export async function removeSite(
  parts: AdminParts,
  caller: Peer,
  { id, force }: RemoveSiteRequest,
): Promise<SiteSummary> {
  const { book, sites, links, onChange } = parts;
  const site = administered(parts, caller, id);
  const live = [...book.table.liveAt(site.id)];
  if (!force && (site.wanted !== 'draining' || live.length > 0)) {
    const has = `has ${counted(live.length, 'task')}`;
    const words = site.wanted === 'draining' ? has : 'takes work';
    throw new GridError('SITE_NOT_DRAINED', `site ${id} ${words}`);
  }
  const last = siteToWire(site, book);
  site.wanted = 'draining';
  await links.close(site.id);
  sites.delete(site.id);
  const why = { reason: 'SITE_DRAINED', detail: `${id} has left the grid` };
  await releaseLive(book, [...book.table.liveAt(site.id)], why);
  await book.recorder.amend(async (db) => {
    await db.deleteFrom('sites').where('id', '=', id).execute();
    await db.deleteFrom('cursors').where('site', '=', id).execute();
  });
  book.log.info({ site: id, by: caller.dn, force, tasks: live.length }, 'site was removed');
  onChange();
  return last;
}

async function releaseLive(book: Book, live: readonly AttemptRecord[], why: Why): Promise<void> {
  if (live.length === 0) return;
  const set = begin(book);
  for (const attempt of live) release(book.table, set, attempt, why);
  await commit(book, set);
}

const STATE = {
  unknown: SiteState.SITE_STATE_UNKNOWN,
  lost: SiteState.SITE_STATE_LOST,
  up: SiteState.SITE_STATE_UP,
  unreachable: SiteState.SITE_STATE_UP,
} as const;

/** A site for people: while only the connection is down it keeps its state and says so. */
export function siteToWire(site: SiteRecord, book: Book): SiteSummary {
  const draining = site.wanted === 'draining' && site.link !== 'lost';
  const closed = site.offer?.closedReason ?? '';
  const heard = site.link === 'unreachable' ? `not connected: ${site.trouble}` : site.trouble;
  return {
    id: site.id,
    address: site.address,
    dn: site.dn,
    state: draining ? SiteState.SITE_STATE_DRAINING : STATE[site.link],
    detail: heard || closed,
    lastHeardAtMs: site.lastHeardAtMs,
    // A digest is a key to what it names, and whoever lists sites need not have been given it.
    offer: site.offer === undefined ? undefined : offerToWire({ ...site.offer, warmTrees: [] }),
    attempts: book.table.liveAt(site.id).size,
    quarantined: quarantineOf(site, book.table, book.clock.nowMs()).quarantined ?? '',
    quarantinedUntilMs: site.conduct.quarantine?.untilMs ?? 0,
    waits: waitsOf(viewOf(site, book.table, book.clock.nowMs())),
    clockAheadMs: site.clockAheadMs,
  };
}
