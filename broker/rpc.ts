import type { Rules } from '../core/match/ask.ts';
import type { Reservation } from '../core/match/snapshot.ts';
import { type Peer, vosOf } from '../core/vo/caller.ts';
import { type Access, chooseVo, isAdmin } from '../core/vo/policy.ts';
import type { BrokerService } from '../proto/gen/grid/v1/broker.ts';
import type { Handlers } from '../service/rpc/rpc.ts';
import { callerToWire, specToWire, stateFromWire, treeToWire } from '../service/rpc/wire.ts';
import type { Book } from './book.ts';
import type { Datasets } from './data/datasets.ts';
import { stagingHandlers } from './data/rpc-staging.ts';
import type { StagingAccounts } from './data/staging-accounts.ts';
import type { Sweeper } from './data/sweeper.ts';
import { flowHandlers, submitJobs } from './flows/rpc-flows.ts';
import { controlHandlers } from './jobs/job-control.ts';
import { watchJob } from './jobs/job-events.ts';
import type { JobStore } from './jobs/job-store.ts';
import { listJobs, readJob, readTasks } from './jobs/listing.ts';
import type { Submit } from './jobs/submit.ts';
import { tailTask } from './jobs/tail.ts';
import { listTaskRanges } from './jobs/task-ranges.ts';
import { explainJob, whyJob } from './matching/why.ts';
import { resultsRemoved } from './results/kept-results.ts';
import type { StoreRoom } from './room/store-room.ts';
import type { S3Secrets } from './s3/s3-secrets.ts';
import { shareHandlers } from './shares/share-admin.ts';
import { siteHandlers } from './sites/rpc-sites.ts';
import type { SiteLinks } from './sites/site-links.ts';
import type { SiteRegistry } from './sites/site-registry.ts';
import { peerOf, readable } from './visible.ts';

/** All that the handlers need. */
export interface BrokerParts {
  readonly book: Book;
  readonly sites: SiteRegistry;
  readonly links: SiteLinks;
  readonly rules: Rules;
  readonly access: Access;
  readonly submit: Submit;
  readonly store: JobStore;
  readonly secrets: S3Secrets;
  readonly room: StoreRoom;
  readonly accounts: StagingAccounts | undefined;
  readonly datasets: Pick<Datasets, 'ownerOf'>;
  readonly sweeper: Pick<Sweeper, 'hold'>;
  readonly onChange: () => void;
  /** Room that is kept since the last round. */
  readonly reservations: () => readonly Reservation[];
}

const MOST = { jobs: 10_000, tasks: 10_000 };

/** The broker's gRPC service: decode, decide, do, encode. */
export function brokerHandlers(parts: BrokerParts): Handlers<BrokerService> {
  const { book } = parts;
  return {
    whoAmI: (_request, context) => Promise.resolve(whoAmI(parts, peerOf(context))),
    submit: (request, context) => submitJobs(parts.submit, peerOf(context), request),
    listJobs: async (request, context) => {
      const peer = peerOf(context);
      const everybody = request.everyone && isAdmin(peer, parts.access);
      const wish = {
        of: everybody ? undefined : { owner: peer.dn, vos: request.everyone ? vosOf(peer) : [] },
        states: request.states.map(stateFromWire),
        name: request.name,
        limit: Math.min(request.limit || 100, MOST.jobs),
        before: request.pageToken,
      };
      const { jobs, next } = await listJobs(book, wish, context.signal);
      return { jobs: [...jobs], nextPageToken: next };
    },
    getJob: async (request, context) => {
      const id = await readable(parts, peerOf(context), request.jobId);
      const { summary, spec, inputs } = await readJob(book, id);
      const limit = Math.min(request.maxTasks || 1_000, MOST.tasks);
      const page = { first: request.firstTask, limit };
      const tasks = request.summaryOnly ? [] : await readTasks(book, { id, spec }, page);
      return {
        summary,
        spec: specToWire(spec),
        inputs: treeToWire(inputs),
        tasks: [...tasks],
        resultsRemoved: await resultsRemoved(book.db, id),
      };
    },
    listTaskRanges: async (request, context) =>
      listTaskRanges(book, await readable(parts, peerOf(context), request.jobId), request),
    async *watchJob(request, context) {
      const id = await readable(parts, peerOf(context), request.jobId);
      yield* watchJob(book, id, request, context.signal);
    },
    whyJob: async (request, context) =>
      whyJob(parts, await readable(parts, peerOf(context), request.jobId)),
    explainJob: (request, context) => explainJob(parts, peerOf(context), request),
    ...controlHandlers(parts),
    ...shareHandlers(parts),
    ...flowHandlers(parts),
    async *tailTask(request, context) {
      await readable(parts, peerOf(context), request.jobId);
      yield* tailTask(book, parts.links, request, context.signal);
    },
    ...siteHandlers(parts),
    ...stagingHandlers(parts),
  };
}

const whoAmI = ({ access }: BrokerParts, peer: Peer) => {
  const decision = chooseVo(peer, '', access);
  return {
    caller: callerToWire(peer, decision.allowed ? decision.vo : ''),
    expiresAtMs: peer.expiresAtMs,
    vosServed: [...access.vos],
    proxyDepth: peer.proxyDepth,
    isAdmin: isAdmin(peer, access),
    rejectedAttributes: [...peer.rejectedAttributes],
  };
};
