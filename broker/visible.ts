import { GridError } from '../core/errors.ts';
import { type JobId, type VoName, voName } from '../core/ids.ts';
import { isFlowId } from '../core/job/flow.ts';
import type { Peer } from '../core/vo/caller.ts';
import {
  type Access,
  isServed,
  mayList,
  mayRead,
  maySeeVo,
  type Owned,
  unservedWords,
} from '../core/vo/policy.ts';
import type { CallContext } from '../service/rpc/rpc.ts';
import { withoutDigests } from '../service/staging/chunk-store.ts';
import type { Book } from './book.ts';
import { ownerOf } from './jobs/listing.ts';

interface Parts {
  readonly book: Book;
  readonly access: Access;
}

/** Who calls. */
export function peerOf(context: CallContext): Peer {
  if (context.peer === undefined)
    throw new GridError('UNAUTHENTICATED', 'NO_CERT: no certificate was presented');
  return context.peer;
}

/** The VO that is meant, if the caller may see into it. Throws VO_NOT_FOUND, VO_DENIED. */
export function visibleVo(peer: Peer, wanted: string, access: Access): VoName {
  const vo = voName(wanted);
  checkServed(vo, access);
  if (!maySeeVo(peer, vo, access))
    throw new GridError('VO_DENIED', `${peer.dn} is no member of VO ${vo.slice(0, 80)}`);
  return vo;
}

/** Throws VO_NOT_FOUND for a VO that the broker does not serve. */
export function checkServed(vo: VoName, access: Access): void {
  if (!isServed(vo, access)) throw new GridError('VO_NOT_FOUND', unservedWords(vo, access));
}

/** The job, if the caller may see all of it; who may not even list it is told that there is none. */
export async function readable(parts: Parts, peer: Peer, id: string): Promise<JobId> {
  const job = await visible(parts, peer, id);
  if (!mayRead(peer, job, parts.access))
    throw new GridError('PERMISSION_DENIED', `job ${id} belongs to ${job.owner}`);
  return id as JobId;
}

/** Whose the job is, if the caller may know of it. */
export async function visible(parts: Parts, peer: Peer, id: string): Promise<Owned> {
  const job = await ownerOf(parts.book, id as JobId);
  if (job === undefined) await refusePast(parts, peer, id);
  if (job === undefined || !mayList(peer, job, parts.access))
    throw new GridError('JOB_NOT_FOUND', `there is no job '${id.slice(0, 40)}'${ofFlow(id)}`);
  return job;
}

const ofFlow = (id: string): string =>
  isFlowId(id) ? ` (that is a flow: \`grid flow status ${id}\`)` : '';

/** Throws JOB_ARCHIVED with what is known of a job that was removed for its age. */
async function refusePast({ book, access }: Parts, peer: Peer, id: string): Promise<void> {
  const past = await book.db
    .selectFrom('history')
    .selectAll()
    .where('id', '=', id)
    .executeTakeFirst();
  if (past === undefined || !mayList(peer, past as Owned & typeof past, access)) return;
  const { name, tasks, state, detail, submitted_ms, ended_ms } = past;
  const what = tasks === 1 ? `'${name}'` : `'${name}', ${tasks} tasks`;
  const [from, to] = [submitted_ms, ended_ms].map((ms) => new Date(ms).toISOString());
  const because = detail === '' ? '' : `: ${withoutDigests(detail)}`;
  const message = `job ${id} (${what}, submitted ${from}) has ended ${state} at ${to}${because}; it was removed with its results for its age`;
  throw new GridError('JOB_ARCHIVED', message);
}
