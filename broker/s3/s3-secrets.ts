import { GridError, type Problem } from '../../core/errors.ts';
import type { JobId } from '../../core/ids.ts';
import type { JobSpec } from '../../core/job/spec.ts';
import type { S3Credential } from '../../proto/gen/grid/v1/broker.ts';
import type { SignedUrl } from '../../proto/gen/grid/v1/site.ts';
import { background } from '../../service/background.ts';
import type { Book } from '../book.ts';
import type { JobStore } from '../jobs/job-store.ts';
import type { SecretRow } from './ledger-secrets.ts';
import { seal, unseal } from './seal.ts';
import { credentialFor, s3Inputs, signUrl } from './sign-url.ts';

/**
 * Credentials for the S3 inputs of jobs. They are sealed in the ledger beside the jobs, and gone when the jobs have ended.
 * Nobody gets them: a gateway gets addresses that are signed for a while.
 */
export interface S3Secrets extends Disposable {
  /** Seals credentials of an owner, to be written with the jobs; each is then announced. */
  seal(owner: string, credentials: readonly S3Credential[]): Promise<string>;
  /** The job's row is about to be written. */
  announce(job: JobId): void;
  has(job: JobId): boolean;
  /** Jobs that have some. */
  jobs(): readonly JobId[];
  /** Puts new credentials in the place of those of a job, or where there are none any more. */
  replace(job: JobId, owner: string, credentials: readonly S3Credential[]): Promise<void>;
  /** The signed addresses of these jobs; nothing for jobs without S3 inputs. */
  sign(jobs: Iterable<JobId>): Promise<readonly SignedUrl[]>;
}

/** How long a signed address holds. */
export const SIGNED_MS = 6 * 3_600_000;
/** A job that is about to be retried is not open yet. */
const SPARED_MS = 60_000;

/** Reads which jobs have secrets, and removes those of jobs that have ended. */
export async function openS3Secrets(
  book: Book,
  store: JobStore,
  key: Uint8Array,
): Promise<S3Secrets> {
  const { clock, db, feed, recorder, table, log } = book;
  /** Jobs with secrets, and what stops listening to them. */
  const known = new Map<JobId, { readonly sinceMs: number; readonly stop: () => void }>();
  const remove = (id: JobId): void => {
    known.get(id)?.stop();
    known.delete(id);
    const removed = recorder.amend(async (transaction) => {
      await transaction.deleteFrom('secrets').where('job_id', '=', id).execute();
    });
    background('remove the secret of a job', removed, log);
  };
  const look = (id: JobId, sparedMs: number): void => {
    const sinceMs = known.get(id)?.sinceMs ?? 0;
    if (!table.jobs.has(id) && clock.monotonicMs() - sinceMs >= sparedMs) remove(id);
  };
  const announce = (id: JobId): void => {
    known.get(id)?.stop();
    const stop = feed.listen(id, () => look(id, 0));
    known.set(id, { sinceMs: clock.monotonicMs(), stop });
  };
  const rows = await db.selectFrom('secrets').select('job_id').execute();
  for (const { job_id } of rows) {
    announce(job_id as JobId);
    look(job_id as JobId, 0);
  }
  const timer = setInterval(() => {
    for (const id of known.keys()) look(id, SPARED_MS);
  }, SPARED_MS).unref();
  return {
    announce,
    has: (id) => known.has(id),
    jobs: () => [...known.keys()],
    seal: (owner, credentials) => seal(key, owner, credentials),
    replace: async (id, owner, credentials) => {
      const row = { job_id: id, sealed: await seal(key, owner, credentials) };
      announce(id);
      await recorder.record({ secrets: [row] });
    },
    sign: async (jobs) => {
      const ids = [...new Set(jobs)].filter((id) => known.has(id));
      return ids.length === 0 ? [] : signAll(book, store, key, ids);
    },
    [Symbol.dispose]: () => clearInterval(timer),
  };
}

async function signAll(
  { db, clock, log }: Book,
  store: JobStore,
  key: Uint8Array,
  ids: readonly JobId[],
): Promise<readonly SignedUrl[]> {
  const jobs = await store.get(ids);
  const rows = await db.selectFrom('secrets').selectAll().where('job_id', 'in', ids).execute();
  const signed: SignedUrl[] = [];
  for (const row of rows) {
    const job = jobs.get(row.job_id as JobId);
    if (job === undefined) continue;
    try {
      const credentials = await unseal(key, job.owner.dn, row.sealed);
      signed.push(...(await signJob(row, job.spec, credentials, clock.nowMs())));
    } catch (error) {
      log.error({ err: error, job: row.job_id }, 'the S3 credential of a job cannot be opened');
    }
  }
  return signed;
}

async function signJob(
  { job_id }: SecretRow,
  spec: JobSpec,
  credentials: readonly S3Credential[],
  nowMs: number,
): Promise<readonly SignedUrl[]> {
  const signed: SignedUrl[] = [];
  for (const file of s3Inputs(spec)) {
    const credential = credentialFor(file, credentials);
    if (credential === undefined) continue;
    const address = await signUrl(file, credential, { nowMs, lifetimeMs: SIGNED_MS });
    signed.push({
      jobId: job_id,
      url: file.url,
      signed: address,
      expiresAtMs: nowMs + SIGNED_MS,
    });
  }
  return signed;
}

/** S3 inputs that nothing opens; throws REQUEST_INVALID for a credential that is none. */
export function checkCredentials(
  specs: readonly JobSpec[],
  credentials: readonly S3Credential[],
): void {
  for (const { endpoint, accessKeyId, secretAccessKey } of credentials) {
    if (accessKeyId === '' || secretAccessKey === '')
      throw new GridError('REQUEST_INVALID', 'an S3 credential has no access key');
    if (endpoint !== '' && !endpoint.startsWith('https://'))
      throw new GridError('REQUEST_INVALID', 'the endpoint of an S3 credential is not https://');
  }
  const problems = specs.flatMap((spec, index): readonly Problem[] => {
    const closed = s3Inputs(spec).filter((file) => credentialFor(file, credentials) === undefined);
    const where = specs.length === 1 ? 'inputs' : `jobs[${index}].inputs`;
    return closed.map(({ url }) => ({ where, message: `there is no S3 credential for '${url}'` }));
  });
  if (problems.length > 0)
    throw new GridError('SPEC_INVALID', 'the job reads from S3 without a credential', { problems });
}
