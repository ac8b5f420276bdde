import { GridError } from '../../core/errors.ts';
import { attemptId as attemptIdOf } from '../../core/ids.ts';
import type { Peer } from '../../core/vo/caller.ts';
import type { InspectSiteResponse, SiteAttempt } from '../../proto/gen/grid/v1/broker.ts';
import { State } from '../../proto/gen/grid/v1/common.ts';
import type { InspectedAttempt } from '../../proto/gen/grid/v1/site.ts';
import { stateToWire } from '../../service/rpc/wire.ts';
import { type AdminParts, administered, siteToWire } from './site-admin.ts';

/** What the ledger, the gateway and the batch system each have of a site's attempts; throws as `administered` does. */
export async function inspectSite(
  parts: AdminParts,
  caller: Peer,
  id: string,
  signal: AbortSignal,
): Promise<InspectSiteResponse> {
  const { book, links } = parts;
  const site = administered(parts, caller, id);
  let unasked = '';
  const answer = await links.inspect(site.id, signal)?.catch((error: unknown) => {
    if (!(error instanceof GridError)) throw error;
    unasked = error.message;
    return undefined;
  });
  const there = answer?.attempts ?? [];
  // Looked at after the gateway has answered: what has ended meanwhile is not missed.
  const live = new Map([...book.table.liveAt(site.id)].map((attempt) => [attempt.id, attempt]));
  const known = new Map(there.map((one) => [one.attemptId, one]));
  const ids = new Set<string>([...live.keys(), ...known.keys()].filter((one) => one !== ''));
  const attempts = [...ids].toSorted().map((attemptId): SiteAttempt => {
    const ours = live.get(attemptIdOf(attemptId));
    const jobId = ours?.task.job.id ?? '';
    const state = ours === undefined ? State.STATE_UNSPECIFIED : stateToWire(ours.task.state);
    return { attemptId, jobId, state, ...gatewayPart(known.get(attemptId)) };
  });
  const strays = there
    .filter(({ attemptId }) => attemptId === '')
    .map(
      (stray): SiteAttempt => ({
        attemptId: '',
        jobId: '',
        state: State.STATE_UNSPECIFIED,
        ...gatewayPart(stray),
      }),
    );
  return {
    site: siteToWire(site, book),
    attempts: [...attempts, ...strays],
    unasked,
    transfers: answer?.transfers ?? [],
    storeTrouble: answer?.storeTrouble ?? '',
    certificateTrouble: answer?.certificateTrouble ?? '',
    imagesTrouble: answer?.imagesTrouble ?? '',
  };
}

const gatewayPart = (one: InspectedAttempt | undefined) => ({
  gatewayState: one?.state ?? '',
  batchId: one?.batchId ?? '',
  batchState: one?.batchState ?? '',
  batchReason: one?.batchReason ?? '',
});
