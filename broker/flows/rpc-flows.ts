import { jobId } from '../../core/ids.ts';
import { flowIdOf } from '../../core/job/flow.ts';
import { type Peer, vosOf } from '../../core/vo/caller.ts';
import { type Access, isAdmin } from '../../core/vo/policy.ts';
import type { BrokerService, SubmitRequest } from '../../proto/gen/grid/v1/broker.ts';
import type { Handlers } from '../../service/rpc/rpc.ts';
import { specFromWire, treeFromWire } from '../../service/rpc/wire.ts';
import type { Book } from '../book.ts';
import type { Submit } from '../jobs/submit.ts';
import { peerOf } from '../visible.ts';
import { getFlow, listFlows, readableFlow } from './flows.ts';

const MOST_FLOWS = 1_000;

/** The calls about flows. */
export const flowHandlers = ({
  book,
  access,
}: {
  readonly book: Book;
  readonly access: Access;
}): Pick<Handlers<BrokerService>, 'listFlows' | 'getFlow'> => ({
  listFlows: async ({ everyone, limit, pageToken }, context) => {
    const peer = peerOf(context);
    const everybody = everyone && isAdmin(peer, access);
    const { flows, next } = await listFlows(book, {
      of: everybody ? undefined : { owner: peer.dn, vos: everyone ? vosOf(peer) : [] },
      limit: Math.min(limit || 100, MOST_FLOWS),
      before: pageToken,
    });
    return { flows: [...flows], nextPageToken: next };
  },
  getFlow: async ({ flowId, withDefinitions }, context) => {
    const row = await readableFlow(book, peerOf(context), flowId, access);
    return getFlow(book, row, withDefinitions);
  },
});

/** Accepts jobs, alone or as nodes of a flow. */
export async function submitJobs(submit: Submit, peer: Peer, request: SubmitRequest) {
  const jobs = request.jobs.map(({ spec, inputs, node }) => ({
    spec: specFromWire(spec),
    inputs: treeFromWire(inputs),
    node,
  }));
  const { submitKey, flow, s3 } = request;
  const jobIds = [...(await submit(peer, submitKey, jobs, flow, s3))];
  const isNew = flow?.id === '';
  return { jobIds, flowId: isNew ? flowIdOf(jobId(jobIds[0] ?? '')) : (flow?.id ?? '') };
}
