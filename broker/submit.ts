import { createHash } from 'node:crypto';
import { isDatasetInput } from '../core/data/dataset.ts';
import type { TreeRef } from '../core/data/manifest.ts';
import { GridError, type Problem } from '../core/errors.ts';
import { type JobId, voName } from '../core/ids.ts';
import { checkSpec } from '../core/job/check-spec.ts';
import { nextJobId } from '../core/job/job-id.ts';
import { fileInputs, hasTreeInputs, type JobSpec, jobInputs, taskCount } from '../core/job/spec.ts';
import type { JobState } from '../core/job/state.ts';
import { askOf } from '../core/match/ask.ts';
import type { Peer } from '../core/vo/caller.ts';
import { formatFqan } from '../core/vo/fqan.ts';
import { type Access, maySubmit } from '../core/vo/policy.ts';
import { checkExpression } from '../service/expression-check.ts';
import { type Book, begin, commit } from './book.ts';
import type { ChangeSet } from './change-set.ts';
import type { Datasets } from './datasets.ts';
import { type Dependency, readDependencies } from './dependencies.ts';
import type { JobStore } from './job-store.ts';
import type { JobRow } from './ledger.ts';
import { cancelJob, dependencyFailed } from './moves.ts';
import { type JobRecord, NOTHING, treeRows, waitFor } from './records.ts';
import { checkGroup, checkQueueQuotas } from './submit-shares.ts';
import type { Sweeper } from './sweeper.ts';

/** A job as it was asked for. */
interface WantedJob {
  readonly spec: JobSpec;
  readonly inputs: TreeRef;
}

export interface SubmitOptions {
  readonly book: Book;
  readonly store: JobStore;
  readonly access: Access;
  readonly datasets: Datasets;
  readonly sweeper: Pick<Sweeper, 'admit'>;
  readonly lastSeq: number;
  readonly lastJobId: string;
  /** A number from 0 up to 1. */
  readonly chance: () => number;
  readonly onQueued: () => void;
}

/** Accepts jobs, all or none; resolves when they are on the disk. The same key with the same jobs gives the same ids. */
export type Submit = (
  peer: Peer,
  submitKey: string,
  jobs: readonly WantedJob[],
) => Promise<readonly JobId[]>;

const MAX_JOBS = 1_000;
const MAX_KEY = 64;
const MAX_MANIFEST_BYTES = 262_144;

export function openSubmit(options: SubmitOptions): Submit {
  const { book } = options;
  const numbers: Numbers = { seq: options.lastSeq, jobId: options.lastJobId };
  /** Submissions that are being written, by owner and key, so that two at once are one. */
  const underway = new Map<string, Promise<unknown>>();

  return async (peer, submitKey, wanted) => {
    checkRequest(submitKey, wanted);
    const jobs = wanted.map((job) => withVo(job, peer, options.access));
    checkJobs(jobs);
    for (const { spec } of jobs) checkGroup(peer, spec);
    const hash = hashOf(jobs);
    const key = `${peer.dn}\0${submitKey}`;
    while (underway.has(key)) await underway.get(key)?.catch(() => undefined);
    const running = (async () => {
      const before = await earlier(book, peer, submitKey, hash);
      if (before !== undefined) return before;
      const pinned = pinDatasets(options.datasets, jobs, peer);
      const dependencies = await readDependencies(book, pinned, peer, options.access);
      for (const { spec, inputs } of pinned) await options.sweeper.admit(spec.vo, inputs);
      return accept(options, numbers, { peer, submitKey, hash, jobs: pinned, dependencies });
    })();
    underway.set(key, running);
    try {
      return await running;
    } finally {
      underway.delete(key);
    }
  };
}

function checkRequest(submitKey: string, jobs: readonly WantedJob[]): void {
  if (submitKey === '' || submitKey.length > MAX_KEY) {
    const message = `submit_key must have 1 to ${MAX_KEY} characters, not ${submitKey.length}`;
    throw new GridError('REQUEST_INVALID', message);
  }
  if (submitKey.includes('\0'))
    throw new GridError('REQUEST_INVALID', 'submit_key must not have a NUL in it');
  if (jobs.length === 0 || jobs.length > MAX_JOBS)
    throw new GridError('REQUEST_INVALID', `1 to ${MAX_JOBS} jobs at a time, not ${jobs.length}`);
}

function withVo(job: WantedJob, peer: Peer, access: Access): WantedJob {
  const decision = maySubmit(peer, job.spec.vo, access);
  if (!decision.allowed) throw new GridError(decision.code, decision.why);
  return { ...job, spec: { ...job.spec, vo: voName(decision.vo) } };
}

function checkJobs(jobs: readonly WantedJob[]): void {
  const problems = jobs.flatMap((job, index) =>
    problemsOf(job).map(({ where, message }) => ({
      where: jobs.length === 1 ? where : `jobs[${index}].${where}`,
      message,
    })),
  );
  if (problems.length === 0) return;
  const count = problems.length === 1 ? '1 problem' : `${problems.length} problems`;
  throw new GridError('SPEC_INVALID', `the job has ${count}`, { problems });
}

function problemsOf({ spec, inputs }: WantedJob): readonly Problem[] {
  const problems = [...checkSpec(spec)];
  for (const kind of ['requirements', 'rank'] as const) {
    if (spec[kind] === '') continue;
    for (const { line, column, message } of checkExpression(kind, spec[kind]))
      problems.push({ where: `${kind}:${line}:${column}`, message });
  }
  if (fileInputs(spec).length > 0 && inputs.digest === '')
    problems.push({ where: 'inputs', message: 'there are inputs, but no tree of files' });
  if ((inputs.manifest?.length ?? 0) > MAX_MANIFEST_BYTES)
    problems.push({ where: 'inputs', message: 'the manifest is too large to ride along' });
  return problems;
}

/** Names the version of every dataset that the jobs want: what is newest now. Throws SPEC_INVALID. */
function pinDatasets(
  datasets: Datasets,
  jobs: readonly WantedJob[],
  peer: Peer,
): readonly WantedJob[] {
  const problems: Problem[] = [];
  const pinned = jobs.map(({ spec, inputs }, index) => {
    const pin = (from: string, at: number): string => {
      try {
        return datasets.pin(peer, from, spec.vo);
      } catch (error) {
        if (!(error instanceof GridError)) throw error;
        const where = `inputs[${at}].from`;
        problems.push({
          where: jobs.length === 1 ? where : `jobs[${index}].${where}`,
          message: error.message,
        });
        return from;
      }
    };
    const named = spec.inputs.map(({ from, to }, at) => ({
      from: isDatasetInput(from) ? pin(from, at) : from,
      to,
    }));
    return { spec: { ...spec, inputs: named }, inputs };
  });
  if (problems.length > 0)
    throw new GridError('SPEC_INVALID', 'the job refers to datasets that it cannot use', {
      problems,
    });
  return pinned;
}

/** Over what makes the jobs what they are; the order of environment variables does not. */
function hashOf(jobs: readonly WantedJob[]): string {
  const hash = createHash('sha256');
  for (const { spec, inputs } of jobs) {
    const env = Object.entries(spec.env).toSorted(([a], [b]) => (a < b ? -1 : 1));
    hash.update(JSON.stringify([{ ...spec, env }, inputs.digest]));
  }
  return hash.digest('hex');
}

async function earlier(
  book: Book,
  peer: Peer,
  submitKey: string,
  hash: string,
): Promise<readonly JobId[] | undefined> {
  const row = await book.db
    .selectFrom('submits')
    .select(['hash', 'job_ids'])
    .where('owner', '=', peer.dn)
    .where('submit_key', '=', submitKey)
    .executeTakeFirst();
  if (row === undefined) return undefined;
  if (row.hash !== hash)
    throw new GridError('SUBMIT_KEY_REUSED', `submit key '${submitKey}' was used for other jobs`);
  return JSON.parse(row.job_ids) as JobId[];
}

interface Numbers {
  seq: number;
  jobId: string;
}

interface Accepted {
  readonly peer: Peer;
  readonly submitKey: string;
  readonly hash: string;
  readonly jobs: readonly WantedJob[];
  readonly dependencies: ReadonlyMap<JobId, Dependency>;
}

/** Puts the jobs into memory and ledger. Nothing is awaited before all of them are in memory. */
async function accept(
  options: SubmitOptions,
  numbers: Numbers,
  accepted: Accepted,
): Promise<readonly JobId[]> {
  const { book, store } = options;
  const { peer, submitKey, hash, jobs, dependencies } = accepted;
  checkQueueQuotas(
    book.table.shares,
    jobs.map(({ spec }) => ({ ask: askOf(spec, peer), tasks: taskCount(spec) })),
  );
  const set = begin(book);
  const rows: JobRow[] = [];
  for (const job of jobs) {
    const record = recordOf(options, numbers, peer, job, set);
    rows.push(rowOf(record, job, peer));
    if (!hasTreeInputs(job.spec))
      store.keep(record.id, { ...job, owner: { dn: peer.dn, fqans: peer.fqans } });
    enqueue(book, set, record, dependencies);
  }
  const ids = rows.map(({ id }) => id as JobId);
  options.onQueued();
  await commit(book, set, {
    jobs: rows,
    trees: jobs.flatMap(({ inputs }) => treeRows(inputs)),
    submits: [
      {
        owner: peer.dn,
        submit_key: submitKey,
        hash,
        job_ids: JSON.stringify(ids),
        at_ms: set.nowMs,
      },
    ],
  });
  return ids;
}

function recordOf(
  options: SubmitOptions,
  numbers: Numbers,
  peer: Peer,
  { spec, inputs }: WantedJob,
  set: ChangeSet,
): JobRecord {
  const kind = options.book.table.asks.of(set, askOf(spec, peer));
  numbers.seq += 1;
  numbers.jobId = nextJobId(numbers.jobId, set.nowMs, options.chance());
  const tasks = taskCount(spec);
  return {
    id: numbers.jobId as JobId,
    seq: numbers.seq,
    owner: kind.ask.owner,
    vo: kind.ask.vo,
    ...kind,
    tasks,
    inputs: inputs.digest,
    after: [...new Set([...spec.after, ...jobInputs(spec).map(({ job }) => job)])],
    retries: spec.retries,
    ...(spec.maxRunning === undefined ? {} : { maxRunning: spec.maxRunning }),
    ...(spec.retryMemory === undefined ? {} : { retryMemory: spec.retryMemory }),
    onLost: spec.onLost,
    submittedAtMs: set.nowMs,
    nextOrdinal: 0,
    counts: { queued: tasks },
    sites: NOTHING.sites,
    reason: '',
    detail: '',
    waitsFor: NOTHING.waitsFor,
    open: NOTHING.open,
  };
}

const rowOf = (job: JobRecord, { spec }: WantedJob, peer: Peer): JobRow => ({
  id: job.id,
  seq: job.seq,
  owner: job.owner,
  fqans: JSON.stringify(peer.fqans.map(formatFqan)),
  vo: job.vo,
  name: spec.name,
  spec: JSON.stringify(spec),
  inputs: job.inputs,
  ask_id: job.askId,
  tasks: job.tasks,
  after: JSON.stringify(job.after),
  retries: job.retries,
  retry_memory: job.retryMemory ?? null,
  max_running: job.maxRunning ?? null,
  keep: job.onLost === 'keep' ? 1 : 0,
  submitted_ms: job.submittedAtMs,
});

function enqueue(
  book: Book,
  set: ChangeSet,
  job: JobRecord,
  dependencies: ReadonlyMap<JobId, Dependency>,
): void {
  const { table } = book;
  waitFor(
    job,
    job.after.filter((id) => table.jobs.has(id)),
  );
  table.addJob(job);
  set.event({ job, kind: 'accept', state: 'queued' });
  const broken = job.after.find((id) => isBroken(id, dependencies, table.jobs));
  const state: JobState = (broken && dependencies.get(broken)?.ended) || 'failed';
  if (broken !== undefined) cancelJob(table, set, job, dependencyFailed(broken, state));
  else if (job.waitsFor.size === 0) table.queues.addJob(job);
}

const isBroken = (
  id: JobId,
  dependencies: ReadonlyMap<JobId, Dependency>,
  open: ReadonlyMap<JobId, JobRecord>,
): boolean => !open.has(id) && dependencies.get(id)?.ended !== 'done';
