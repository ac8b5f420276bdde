import { GridError } from '../../core/errors.ts';
import type { JobState } from '../../core/job/state.ts';
import {
  type BrokerService,
  type InspectSiteResponse,
  SiteState,
} from '../../proto/gen/grid/v1/broker.ts';
import { pause } from '../../service/background.ts';
import type { Connection } from '../../service/rpc/grpc-client.ts';
import { closedRemedy, linkRemedy } from './link-remedy.ts';

/** A probe that a site has. */
export interface WatchedProbe {
  readonly broker: Connection<BrokerService>;
  readonly site: string;
}

/** What keeps a probe where it is. */
export interface Trouble {
  readonly words: string;
  /** What mends it; undefined where that depends on the link. */
  readonly remedy?: string;
}

/** How often the site is asked; what is over by the next time was no trouble. */
const LOOK_MS = 2_500;

/**
 * Looks at the site of a probe for as long as `signal` lets it. Tells of what has kept the probe from getting on at two
 * looks in a row, once something has. `stateOf` says where the probe is.
 */
export async function untilTrouble(
  probe: WatchedProbe,
  stateOf: () => JobState | undefined,
  signal: AbortSignal,
): Promise<Trouble | undefined> {
  let before: string | undefined;
  while (!signal.aborted) {
    await pause(LOOK_MS, signal).catch(() => undefined);
    const state = stateOf();
    const trouble = await troubleNow(probe, state, signal);
    if (trouble !== undefined && state === before) return trouble;
    before = trouble === undefined ? undefined : state;
  }
  return undefined;
}

async function troubleNow(
  probe: WatchedProbe,
  state: JobState | undefined,
  signal: AbortSignal,
): Promise<Trouble | undefined> {
  try {
    return await troubleIn(probe, state, signal);
  } catch (error) {
    // The broker away is told by whoever follows the job.
    if (error instanceof GridError || signal.aborted) return undefined;
    throw error;
  }
}

/** Why a probe in this state stands still, by what the broker knows and the site says. */
async function troubleIn(
  { broker, site: id }: WatchedProbe,
  state: JobState | undefined,
  signal: AbortSignal,
): Promise<Trouble | undefined> {
  const { site, storeTrouble } = await inspected(broker, id, signal);
  if (site === undefined) return { words: 'the site has left the grid' };
  const { detail, offer } = site;
  if (site.state === SiteState.SITE_STATE_LOST || detail.startsWith('not connected'))
    return {
      words: `the broker does not hear it any more: ${detail}`,
      remedy: linkRemedy(site, detail),
    };
  const isStaging = state === 'staging-in' || state === 'staging-out';
  if (isStaging && storeTrouble !== '')
    return { words: `the site waits for the store: ${storeTrouble}` };
  const reason = offer?.closedReason ?? '';
  if (reason === '') return undefined;
  return { words: `the site says: ${reason}`, remedy: closedRemedy(site, reason) };
}

/** For a member who administers nothing: what every member may know. */
async function inspected(
  broker: Connection<BrokerService>,
  id: string,
  signal: AbortSignal,
): Promise<Pick<InspectSiteResponse, 'site' | 'storeTrouble'>> {
  try {
    return await broker.call.inspectSite({ id }, { signal });
  } catch (error) {
    if (!(error instanceof GridError) || error.code !== 'PERMISSION_DENIED') throw error;
    const { sites } = await broker.call.listSites({}, { signal });
    return { site: sites.find((one) => one.id === id), storeTrouble: '' };
  }
}
