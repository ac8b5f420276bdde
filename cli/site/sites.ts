import type { Offer } from '../../core/match/offer.ts';
import { formatBytes, formatDuration } from '../../core/units.ts';
import { Eviction, SiteState, type SiteSummary } from '../../proto/gen/grid/v1/broker.ts';
import { offerFromWire } from '../../service/rpc/wire.ts';
import type { Context } from '../context.ts';
import { argument, type Input } from '../input.ts';
import { agoText, bar, table, wrap } from '../render.ts';

const STATES: ReadonlyMap<SiteState, string> = new Map([
  [SiteState.SITE_STATE_UNKNOWN, 'unknown'],
  [SiteState.SITE_STATE_UP, 'up'],
  [SiteState.SITE_STATE_DRAINING, 'draining'],
  [SiteState.SITE_STATE_LOST, 'lost'],
]);

/** A site as the CLI shows it. */
export interface SiteView extends Omit<SiteSummary, 'state' | 'offer'> {
  readonly state: string;
  readonly offer?: Offer;
}

export function siteView(site: SiteSummary): SiteView {
  const { offer, state, ...rest } = site;
  const word = STATES.get(state) ?? 'unknown';
  const quarantined = word === 'up' && site.quarantined !== '';
  const view = { ...rest, state: quarantined ? 'quarantined' : word };
  return offer === undefined ? view : { ...view, offer: offerFromWire(offer) };
}

/** `grid sites`. */
export async function listSites(context: Context): Promise<number> {
  using broker = await context.openBroker();
  const { sites } = await broker.call.listSites({}, { signal: context.signal });
  const views = sites.map(siteView);
  const { terminal, colours } = context;
  if (context.json) terminal.out(JSON.stringify(views));
  else if (views.length === 0) terminal.note('no sites yet: `grid site invite` adds one');
  else {
    const rows = views.map((site) => rowOf(context, site));
    const shown = [...HEADINGS.keys()].filter((at) => rows.some((row) => row[at] !== ''));
    const heads = shown.map((at) => HEADINGS[at] ?? '');
    const cells = rows.map((row) => shown.map((at) => row[at] ?? ''));
    terminal.out(table(heads, cells, colours, terminal.columns));
    for (const site of views) {
      const trouble =
        site.offer?.closedReason || site.quarantined || site.detail || clockText(site.clockAheadMs);
      if (trouble !== '') terminal.out(wrap(`${site.id}: ${trouble}`, terminal.columns));
    }
  }
  return 0;
}

const HEADINGS = ['site', 'state', 'cpus free', 'memory free', 'gpus', 'kind', 'tasks', 'heard'];

function rowOf({ colours }: Context, site: SiteView): readonly string[] {
  const { offer } = site;
  const paint =
    site.state === 'up' ? colours.good : site.state === 'lost' ? colours.bad : colours.warn;
  const start = [site.id, paint(site.state)];
  const end = [String(site.attempts), agoText(site.lastHeardAtMs, Date.now())];
  if (offer === undefined) return [...start, '', '', '', '', ...end];
  const { freeCpus, totalCpus, freeMemoryBytes, totalMemoryBytes, totalGpus, freeGpus } = offer;
  return [
    ...start,
    `${bar(totalCpus === 0 ? 0 : freeCpus / totalCpus, 8)} ${freeCpus}/${totalCpus}`,
    shareText(formatBytes(freeMemoryBytes), formatBytes(totalMemoryBytes)),
    totalGpus === 0 ? '' : `${freeGpus}/${totalGpus}`,
    `${offer.lrms} ${offer.arch}`,
    ...end,
  ];
}

/** `its clock is 1h 00m ahead of the broker's`; '' where the two agree. */
export function clockText(aheadMs: number): string {
  if (aheadMs === 0) return '';
  return `its clock is ${formatDuration(Math.abs(aheadMs))} ${aheadMs > 0 ? 'ahead of' : 'behind'} the broker's`;
}

/** `3/23.5 GiB`, or with both units where they differ. */
const shareText = (free: string, total: string): string => {
  const unit = total.slice(total.indexOf(' '));
  return `${free.endsWith(unit) ? free.slice(0, -unit.length) : free}/${total}`;
};

/** `grid site add`. */
export async function addSite(context: Context, input: Input): Promise<number> {
  using broker = await context.openBroker();
  const request = {
    id: argument(input, 0),
    address: input.text('address') ?? '',
    dn: input.text('dn') ?? '',
  };
  const { site } = await broker.call.enrolSite(request, { signal: context.signal });
  return answer(context, site, 'is added');
}

/** `grid site resume`. */
export async function resumeSite(context: Context, input: Input): Promise<number> {
  using broker = await context.openBroker();
  const request = {
    id: argument(input, 0),
    state: SiteState.SITE_STATE_UP,
    eviction: Eviction.EVICTION_UNSPECIFIED,
  };
  const { site } = await broker.call.setSiteState(request, { signal: context.signal });
  const isHeard =
    site?.state === SiteState.SITE_STATE_UP && !site.detail.startsWith('not connected');
  return isHeard
    ? answer(context, site, 'takes work again')
    : answer(context, site, 'drains no more, and takes work once the broker hears it');
}

function answer(context: Context, site: SiteSummary | undefined, words: string): number {
  if (site === undefined) return 0;
  const view = siteView(site);
  const state = view.detail === '' ? view.state : view.detail;
  context.terminal.out(context.json ? JSON.stringify(view) : `${view.id} ${words} (${state})`);
  return 0;
}
