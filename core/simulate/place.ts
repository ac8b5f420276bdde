import { add, fits, type Need, NO_NEED, needOf, subtract } from '../match/need.ts';
import type { Offer } from '../match/offer.ts';
import type { Run, SiteView } from '../match/site-view.ts';
import type { WaitingTask } from './waiting.ts';
import type { SimSite } from './world.ts';

/** One try of a task at a site: in its backlog until it has a start. */
export interface Attempt {
  readonly task: WaitingTask;
  readonly place: Place;
  readonly need: Need;
  startMs: number | undefined;
  /** It has ended, or was taken from the site. */
  over: boolean;
}

/** A site in the course of a simulation: runs what fits, keeps the rest first in, first out. */
export interface Place {
  readonly site: SimSite;
  readonly running: Set<Attempt>;
  backlog: Attempt[];
  /** Outages and drains that are on. */
  readonly closed: { outages: number; drains: number };
  /** Total without what runs. */
  free: Need;
  /** As rounds see it; undefined once something has changed. */
  view: SiteView | undefined;
}

/** All that an idle site has. */
const allOf = ({
  totalCpus,
  totalMemoryBytes,
  totalGpus,
  totalDiskBytes,
  licences,
}: Offer): Need => ({
  cpus: totalCpus,
  memoryBytes: totalMemoryBytes,
  gpus: totalGpus,
  diskBytes: totalDiskBytes,
  licences: Object.fromEntries(licences.map(({ name, total }) => [name, total])),
});

export function openPlace(site: SimSite, backlog: number | undefined): Place {
  const offer = { ...site.offer, backlog: backlog ?? site.offer.backlog };
  return {
    site: { ...site, offer },
    running: new Set(),
    backlog: [],
    closed: { outages: 0, drains: 0 },
    free: allOf(offer),
    view: undefined,
  };
}

/** Takes an attempt in and gives back what can start now. */
export function accept(place: Place, task: WaitingTask): readonly Attempt[] {
  const need = needOf(task.job.ask.resources);
  place.backlog.push({ task, place, need, startMs: undefined, over: false });
  return startWhatFits(place);
}

/** Frees what the attempt had and gives back what can start now. */
export function finish(attempt: Attempt): readonly Attempt[] {
  const { place, need } = attempt;
  attempt.over = true;
  place.running.delete(attempt);
  place.free = add(place.free, need);
  return startWhatFits(place);
}

/** The first of the backlog holds up the others. */
function startWhatFits(place: Place): readonly Attempt[] {
  place.view = undefined;
  const started: Attempt[] = [];
  for (const attempt of place.backlog) {
    if (!fits(attempt.need, place.free)) break;
    place.free = subtract(place.free, attempt.need);
    place.running.add(attempt);
    started.push(attempt);
  }
  if (started.length > 0) place.backlog = place.backlog.slice(started.length);
  return started;
}

/** Takes everything from a site that is lost. */
export function abandon(place: Place): readonly Attempt[] {
  const attempts = [...place.running, ...place.backlog];
  for (const attempt of attempts) attempt.over = true;
  place.running.clear();
  place.backlog = [];
  place.free = allOf(place.site.offer);
  place.view = undefined;
  return attempts;
}

/** The site as a round sees it; without its runs a round can promise nothing there. */
export function viewOf(place: Place, withRuns: boolean): SiteView {
  place.view ??= {
    ...makeView(place),
    ...(withRuns ? { runs: { [Symbol.iterator]: () => runsOf(place) } } : {}),
  };
  return place.view;
}

function* runsOf({ running }: Place): Generator<Run> {
  for (const { need, startMs = 0, task } of running)
    yield { need, endsByMs: startMs + task.ask.resources.walltimeMs };
}

/** Whether a round could give it anything. */
export const hasRoom = ({ site, backlog, closed, free }: Place): boolean =>
  closed.outages + closed.drains === 0 &&
  (backlog.length < site.offer.backlog || (backlog.length === 0 && free.cpus > 0));

/** As with a gateway, what waits in the backlog is not free any more. */
function makeView(place: Place): SiteView {
  const { closed, backlog } = place;
  const { offer } = place.site;
  const free = backlog.reduce((left, { need }) => subtract(left, need), place.free);
  return {
    id: offer.site,
    status: closed.outages > 0 ? 'lost' : closed.drains > 0 ? 'draining' : 'up',
    reserved: NO_NEED,
    waiting: backlog.length,
    offer: {
      ...offer,
      freeCpus: free.cpus,
      freeMemoryBytes: free.memoryBytes,
      freeGpus: free.gpus,
      freeDiskBytes: free.diskBytes,
      licences: offer.licences.map((pool) => ({ ...pool, free: free.licences[pool.name] ?? 0 })),
    },
  };
}
