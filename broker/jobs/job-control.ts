import { GridError } from '../../core/errors.ts';
import type { JobId } from '../../core/ids.ts';
import { jobStateOf } from '../../core/job/summary.ts';
import type { Peer } from '../../core/vo/caller.ts';
import { type Access, isAdmin, mayControl } from '../../core/vo/policy.ts';
import type {
  BrokerService,
  CancelJobsRequest,
  CancelJobsResponse,
  GiveS3CredentialsRequest,
  GiveS3CredentialsResponse,
  HoldJobsRequest,
  HoldJobsResponse,
  ReleaseJobsRequest,
  ReleaseJobsResponse,
  RetryJobRequest,
  RetryJobResponse,
} from '../../proto/gen/grid/v1/broker.ts';
import type { Handlers } from '../../service/rpc/rpc.ts';
import { type Book, begin, commit } from '../book.ts';
import { checkCredentials, type S3Secrets } from '../s3/s3-secrets.ts';
import { s3Inputs } from '../s3/sign-url.ts';
import type { SiteLinks } from '../sites/site-links.ts';
import { peerOf, visible } from '../visible.ts';
import { holdJob, unholdJob } from './job-moves.ts';
import type { JobStore } from './job-store.ts';
import { cancelJob } from './moves.ts';
import type { JobRecord } from './records.ts';
import { openRetry, type Retry } from './retry-job.ts';

interface Parts {
  readonly book: Book;
  readonly links: SiteLinks;
  readonly access: Access;
  readonly onChange: () => void;
  readonly store: JobStore;
  readonly secrets: S3Secrets;
}

const MOST_JOBS = 10_000;

/** What its owner and administrators may do to a job. */
export function controlHandlers(
  parts: Parts,
): Pick<
  Handlers<BrokerService>,
  'cancelJobs' | 'holdJobs' | 'releaseJobs' | 'retryJob' | 'giveS3Credentials'
> {
  const retry = openRetry(parts.book, parts.onChange);
  return {
    cancelJobs: (request, context) => cancelJobs(parts, peerOf(context), request),
    holdJobs: (request, context) => holdJobs(parts, peerOf(context), request),
    releaseJobs: (request, context) => releaseJobs(parts, peerOf(context), request),
    giveS3Credentials: (request, context) => giveS3(parts, peerOf(context), request),
    retryJob: (request, context) => retryJob(parts, retry, peerOf(context), request),
  };
}

/** The ids, each once, if the caller may do with all of these jobs as it likes. */
async function controlled(
  parts: Parts,
  peer: Peer,
  wanted: readonly string[],
): Promise<readonly JobId[]> {
  if (wanted.length > MOST_JOBS)
    throw new GridError('REQUEST_INVALID', `at most ${MOST_JOBS} jobs at a time`);
  const ids = [...new Set(wanted)] as JobId[];
  for (const id of ids) {
    const job = await visible(parts, peer, id);
    if (!mayControl(peer, job, parts.access))
      throw new GridError('PERMISSION_DENIED', `job ${id} belongs to ${job.owner}`);
  }
  return ids;
}

/** One line, whatever was written: it stands in histories and messages among lines of ours. */
function because(text: string): string {
  const line = text
    .slice(0, 500)
    .replace(/\p{Cc}+/gu, ' ')
    .trim();
  return line === '' ? '' : `: ${line}`;
}

/** All of the jobs are looked at before any is touched. */
async function cancelJobs(
  parts: Parts,
  peer: Peer,
  request: CancelJobsRequest,
): Promise<CancelJobsResponse> {
  const { book, links } = parts;
  const ids = await controlled(parts, peer, request.jobIds);
  const set = begin(book);
  const open = ids.flatMap((id) => book.table.jobs.get(id) ?? []);
  const detail = `cancelled by ${peer.dn}${because(request.reason)}`;
  const attempts = open.flatMap((job) =>
    cancelJob(book.table, set, job, { reason: 'CANCELLED', detail }),
  );
  parts.onChange();
  await commit(book, set);
  links.cancel(attempts.map(({ id, site }) => ({ attemptId: id, site })));
  const cancelling = new Set(open.map(({ id }) => id));
  return {
    cancelling: [...cancelling],
    alreadyEnded: ids.filter((id) => !cancelling.has(id)),
  };
}

/** Jobs that have not ended and are not about to; throws JOB_EVENT_REFUSED for others. */
function openJobs({ book }: Parts, ids: readonly JobId[], verb: string): readonly JobRecord[] {
  return ids.map((id) => {
    const job = book.table.jobs.get(id);
    if (job === undefined)
      throw new GridError('JOB_EVENT_REFUSED', `job ${id} has ended: it cannot be ${verb}`);
    if (job.cancelReason !== undefined)
      throw new GridError('JOB_EVENT_REFUSED', `job ${id} is being cancelled, not to be ${verb}`);
    return job;
  });
}

/** All or none; a job that is held already stays so. */
async function holdJobs(
  parts: Parts,
  peer: Peer,
  request: HoldJobsRequest,
): Promise<HoldJobsResponse> {
  const { book, access } = parts;
  const ids = await controlled(parts, peer, request.jobIds);
  const detail = `held by ${peer.dn}${because(request.reason)}`;
  const set = begin(book);
  for (const job of openJobs(parts, ids, 'held')) {
    const strict = job.owner !== peer.dn && isAdmin(peer, access);
    const reason = strict ? 'HELD_BY_ADMIN' : 'HELD_BY_OWNER';
    // What an administrator holds its owner does not make his own.
    if (job.hold === undefined || (strict && job.hold.reason !== reason))
      holdJob(set, job, { reason, detail });
  }
  await commit(book, set);
  return { held: [...ids] };
}

/** All or none; releases what was held on request and what the grid has held. */
async function releaseJobs(
  parts: Parts,
  peer: Peer,
  request: ReleaseJobsRequest,
): Promise<ReleaseJobsResponse> {
  const { book, access } = parts;
  const ids = await controlled(parts, peer, request.jobIds);
  const jobs = openJobs(parts, ids, 'released');
  for (const { id, hold, counts } of jobs) {
    if (hold === undefined && (counts.held ?? 0) === 0)
      throw new GridError('JOB_EVENT_REFUSED', `job ${id} is ${jobStateOf(counts)}, not held`);
    if (hold?.reason === 'HELD_BY_ADMIN' && !isAdmin(peer, access))
      throw new GridError('PERMISSION_DENIED', `job ${id} is ${hold.detail}`);
  }
  const set = begin(book);
  for (const job of jobs) unholdJob(book.table, set, job, `released by ${peer.dn}`);
  parts.onChange();
  await commit(book, set);
  return { released: [...ids] };
}

async function retryJob(
  parts: Parts,
  retry: Retry,
  peer: Peer,
  { jobId, failedOnly, ordinals }: RetryJobRequest,
): Promise<RetryJobResponse> {
  if (ordinals.length > MOST_JOBS)
    throw new GridError('REQUEST_INVALID', `at most ${MOST_JOBS} tasks at a time`);
  const [id] = await controlled(parts, peer, [jobId]);
  if (id === undefined) return { tasks: 0 };
  await checkSecret(parts, id);
  return { tasks: await retry({ id, failedOnly, ordinals, by: peer.dn }) };
}

/** A job that has ended has no credential any more. */
async function checkSecret({ store, secrets }: Parts, id: JobId): Promise<void> {
  const spec = (await store.get([id])).get(id)?.spec;
  if (spec === undefined || s3Inputs(spec).length === 0 || secrets.has(id)) return;
  const message = `job ${id} reads from S3, and its credential was removed when it ended: give one with --s3`;
  throw new GridError('JOB_EVENT_REFUSED', message);
}

async function giveS3(
  parts: Parts,
  peer: Peer,
  request: GiveS3CredentialsRequest,
): Promise<GiveS3CredentialsResponse> {
  const ids = await controlled(parts, peer, request.jobIds);
  const jobs = await parts.store.get(ids);
  const specs = [...jobs.values()].map(({ spec }) => spec);
  const other = ids.find((id) => s3Inputs(jobs.get(id)?.spec ?? { inputs: [] }).length === 0);
  if (other !== undefined)
    throw new GridError('JOB_EVENT_REFUSED', `job ${other} has no inputs from S3`);
  checkCredentials(specs, request.s3);
  for (const [id, { owner }] of jobs) await parts.secrets.replace(id, owner.dn, request.s3);
  return {};
}
