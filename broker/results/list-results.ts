import { sql } from 'kysely';
import { GridError } from '../../core/errors.ts';
import type { JobState } from '../../core/job/state.ts';
import type { Peer } from '../../core/vo/caller.ts';
import { isManager } from '../../core/vo/membership.ts';
import { type Access, chooseVo, isAdmin } from '../../core/vo/policy.ts';
import type { JobResults, ListResultsRequest } from '../../proto/gen/grid/v1/data.ts';
import { stateToWire } from '../../service/rpc/wire.ts';
import type { Book } from '../book.ts';

interface Parts {
  readonly book: Book;
  readonly access: Access;
}

const MOST = 10_000;

interface Row {
  readonly id: string;
  readonly name: string;
  readonly owner: string;
  readonly state: JobState;
  readonly ended_ms: number | null;
  readonly files: number;
  readonly total_bytes: number;
}

/** Jobs whose results are kept, the largest first; throws VO_DENIED, and PERMISSION_DENIED where others' are not the caller's to see. */
export async function listResults(
  { book, access }: Parts,
  peer: Peer,
  request: ListResultsRequest,
): Promise<readonly JobResults[]> {
  const decision = chooseVo(peer, request.vo, access);
  if (!decision.allowed) throw new GridError(decision.code, decision.why);
  const { vo } = decision;
  if (request.everybody && !isManager(peer, vo) && !isAdmin(peer, access))
    throw new GridError('PERMISSION_DENIED', `${peer.dn} is no manager of ${vo}`);
  await book.recorder.settled();
  const mine = request.everybody ? sql`` : sql`and jobs.owner = ${peer.dn}`;
  const limit = Math.min(request.limit || 100, MOST);
  // A tree that several attempts of a job have made is one.
  const { rows } = await sql<Row>`
    select jobs.id, jobs.name, jobs.owner, job_state.state, job_state.ended_ms,
      sum(trees.files) as files, sum(trees.total_bytes) as total_bytes
    from (
      select distinct attempts.job_id, attempts.outputs
      from attempts join jobs on jobs.id = attempts.job_id
      where attempts.outputs <> '' and jobs.vo = ${vo} ${mine}
    ) as kept
    join jobs on jobs.id = kept.job_id
    join job_state on job_state.job_id = kept.job_id
    join trees on trees.digest = kept.outputs
    group by jobs.id, jobs.name, jobs.owner, job_state.state, job_state.ended_ms
    order by total_bytes desc, jobs.id
    limit ${limit}`.execute(book.db);
  return rows.map((row) => ({
    jobId: row.id,
    name: row.name,
    owner: row.owner,
    state: stateToWire(row.state),
    endedAtMs: row.ended_ms ?? 0,
    files: row.files,
    totalBytes: row.total_bytes,
  }));
}
