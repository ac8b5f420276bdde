import { GridError } from '../../core/errors.ts';
import type { JobId } from '../../core/ids.ts';
import { dependenciesOf, settle, whyNever } from '../../core/job/dependency.ts';
import { renameRefs } from '../../core/job/flow.ts';
import { nextJobId } from '../../core/job/job-id.ts';
import { hasTreeInputs, type JobSpec, jobInputs, taskCount } from '../../core/job/spec.ts';
import type { JobState } from '../../core/job/state.ts';
import { jobStateOf } from '../../core/job/summary.ts';
import { askOf } from '../../core/match/ask.ts';
import type { Peer } from '../../core/vo/caller.ts';
import { formatFqan } from '../../core/vo/fqan.ts';
import type { Access } from '../../core/vo/policy.ts';
import type { S3Credential } from '../../proto/gen/grid/v1/broker.ts';
import { type Book, begin, commit } from '../book.ts';
import type { Datasets } from '../data/datasets.ts';
import { holdDatasets } from '../data/result-trees.ts';
import type { Sweeper } from '../data/sweeper.ts';
import { flowRow, knownNodes, type WantedFlow, withKnownIds } from '../flows/new-flow.ts';
import type { FlowRow, JobRow } from '../ledger/ledger.ts';
import { checkKept } from '../results/kept-results.ts';
import type { StoreRoom } from '../room/store-room.ts';
import type { SecretRow } from '../s3/ledger-secrets.ts';
import { checkCredentials, type S3Secrets } from '../s3/s3-secrets.ts';
import { s3Inputs } from '../s3/sign-url.ts';
import { checkGroup, checkQueueQuotas } from '../shares/submit-shares.ts';
import { openTurns } from '../turns.ts';
import type { ChangeSet } from './change-set.ts';
import { type AwaitedJob, readDependencies } from './dependencies.ts';
import type { JobStore } from './job-store.ts';
import { cancelJob } from './moves.ts';
import {
  formatAfter,
  formatSpec,
  freshCounts,
  type JobRecord,
  NOTHING,
  treeRows,
  waitFor,
} from './records.ts';
import {
  checkJobs,
  checkRequest,
  hashOf,
  pinDatasets,
  type WantedJob,
  withVo,
} from './wanted-jobs.ts';

export interface SubmitOptions {
  readonly book: Book;
  readonly store: JobStore;
  readonly access: Access;
  readonly datasets: Datasets;
  readonly sweeper: Pick<Sweeper, 'admit'>;
  readonly room: Pick<StoreRoom, 'claimForJobs'>;
  readonly secrets: Pick<S3Secrets, 'seal' | 'announce'>;
  readonly lastSeq: number;
  readonly lastJobId: string;
  /** A number from 0 up to 1. */
  readonly chance: () => number;
  readonly onQueued: () => void;
}

/**
 * Accepts jobs, all or none; resolves when they are on the disk. The same key with the same jobs gives the same ids.
 * With `flow` the jobs are nodes of one flow; `s3` opens their S3 inputs.
 */
export type Submit = (
  peer: Peer,
  submitKey: string,
  jobs: readonly WantedJob[],
  flow?: WantedFlow,
  s3?: readonly S3Credential[],
) => Promise<readonly JobId[]>;

export function openSubmit(options: SubmitOptions): Submit {
  const { book } = options;
  const numbers: Numbers = { seq: options.lastSeq, jobId: options.lastJobId };
  const inTurn = openTurns();

  return async (peer, submitKey, wanted, flow, s3 = []) => {
    checkRequest(submitKey, wanted);
    const named = wanted.map((job) => withVo(job, peer, options.access));
    const hash = hashOf(named, flow);
    const add = async () => {
      using _named = book.holds.hold([
        ...named.flatMap(({ spec }) => dependenciesOf(spec).map(({ job }) => job)),
        ...(flow === undefined ? [] : [flow.id]),
      ]);
      const known = flow === undefined ? new Map() : await knownNodes(book, flow, peer);
      checkJobs(named, flow && known);
      for (const { spec } of named) checkGroup(peer, spec);
      checkCredentials(
        named.map(({ spec }) => spec),
        s3,
      );
      const jobs = withKnownIds(named, known);
      const pinned = pinDatasets(options.datasets, jobs, peer);
      using _datasets = holdDatasets(book.holds, pinned);
      const dependencies = await readDependencies(book, pinned, peer, options.access);
      const taken = pinned.flatMap(({ spec }) => jobInputs(spec).map(({ job }) => job));
      await checkKept(book.db, taken);
      for (const { spec, inputs } of pinned) await options.sweeper.admit(spec.vo, inputs);
      using _room = await claimRoom(options.room, peer, pinned);
      return await accept(options, numbers, {
        peer,
        submitKey,
        hash,
        jobs: pinned,
        flow,
        dependencies,
        sealed: s3.length === 0 ? '' : await options.secrets.seal(peer.dn, s3),
      });
    };
    // Two submissions with one key are one, and a flow goes on once at a time.
    return inTurn(`${peer.dn}\0${submitKey}`, async () => {
      const before = await earlier(book, peer, submitKey, hash);
      if (before !== undefined) return before;
      return flow === undefined || flow.id === '' ? add() : inTurn(flow.id, add);
    });
  };
}

/** Room for the inputs in the store of each VO. */
async function claimRoom(
  room: SubmitOptions['room'],
  peer: Peer,
  jobs: readonly WantedJob[],
): Promise<Disposable> {
  using claims = new DisposableStack();
  for (const [vo, mine] of Map.groupBy(jobs, ({ spec }) => spec.vo)) {
    const trees = mine.map(({ inputs }) => inputs);
    claims.use(await room.claimForJobs({ vo, owner: peer.dn }, trees));
  }
  return claims.move();
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
  readonly flow: WantedFlow | undefined;
  readonly dependencies: ReadonlyMap<JobId, AwaitedJob>;
  /** Credentials for S3 inputs. */
  readonly sealed: string;
}

/** Puts the jobs into memory and ledger. Nothing is awaited before all of them are in memory. */
async function accept(
  options: SubmitOptions,
  numbers: Numbers,
  accepted: Accepted,
): Promise<readonly JobId[]> {
  const { book, store } = options;
  const { peer, submitKey, hash, flow, dependencies } = accepted;
  checkQueueQuotas(
    book.table.shares,
    accepted.jobs.map(({ spec }) => ({ ask: askOf(spec, peer), tasks: taskCount(spec) })),
  );
  const set = begin(book);
  const rows: JobRow[] = [];
  const flows: FlowRow[] = [];
  const records = new Map<JobId, JobRecord>();
  const nodes = new Map<string, JobId>();
  for (const wanted of accepted.jobs) {
    const { node, inputs } = wanted;
    const spec = nodes.size === 0 ? wanted.spec : renameRefs(wanted.spec, nodes);
    const record = recordOf(options, numbers, peer, { spec, inputs }, set);
    if (flow?.id === '' && records.size === 0) flows.push(flowRow(record, flow.name));
    records.set(record.id, record);
    if (flow !== undefined) nodes.set(node, record.id);
    rows.push(rowOf(record, spec, peer, { flow: flow?.id || (flows[0]?.id ?? ''), node }));
    if (!hasTreeInputs(spec))
      store.keep(
        record.id,
        { spec, inputs, owner: { dn: peer.dn, fqans: peer.fqans } },
        book.table.jobs.size,
      );
    enqueue(book, set, record, (id) => {
      const fresh = records.get(id);
      return fresh === undefined ? dependencies.get(id)?.ended : jobStateOf(fresh.counts);
    });
  }
  const ids = [...records.keys()];
  const secrets = secretRows(options, ids, accepted);
  options.onQueued();
  await commit(book, set, {
    jobs: rows,
    flows,
    secrets,
    trees: accepted.jobs.flatMap(({ inputs }) => treeRows(inputs)),
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

/** `ids` in the order of the jobs. */
function secretRows(
  { secrets }: SubmitOptions,
  ids: readonly JobId[],
  { jobs, sealed }: Accepted,
): readonly SecretRow[] {
  const reading = ids.filter(
    (_, index) => s3Inputs(jobs[index]?.spec ?? { inputs: [] }).length > 0,
  );
  for (const id of reading) secrets.announce(id);
  return reading.map((id) => ({ job_id: id, sealed }));
}

function recordOf(
  options: SubmitOptions,
  numbers: Numbers,
  peer: Peer,
  { spec, inputs }: Omit<WantedJob, 'node'>,
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
    after: dependenciesOf(spec),
    retries: spec.retries,
    ...(spec.maxRunning === undefined ? {} : { maxRunning: spec.maxRunning }),
    ...(spec.retryMemory === undefined ? {} : { retryMemory: spec.retryMemory }),
    onLost: spec.onLost,
    submittedAtMs: set.nowMs,
    nextOrdinal: 0,
    counts: freshCounts(tasks),
    sites: NOTHING.sites,
    reason: '',
    detail: '',
    waitsFor: NOTHING.waitsFor,
    open: NOTHING.open,
  };
}

const rowOf = (
  job: JobRecord,
  spec: JobSpec,
  peer: Peer,
  place: { readonly flow: string; readonly node: string },
): JobRow => ({
  id: job.id,
  seq: job.seq,
  owner: job.owner,
  fqans: JSON.stringify(peer.fqans.map(formatFqan)),
  vo: job.vo,
  name: spec.name,
  spec: formatSpec(spec),
  inputs: job.inputs,
  ask_id: job.askId,
  tasks: job.tasks,
  after: JSON.stringify(formatAfter(job.after)),
  retries: job.retries,
  retry_memory: job.retryMemory ?? null,
  max_running: job.maxRunning ?? null,
  keep: job.onLost === 'keep' ? 1 : 0,
  submitted_ms: job.submittedAtMs,
  flow_id: place.flow,
  flow_node: place.node,
});

/** `endedAs` says how a job that is not open has ended. */
function enqueue(
  book: Book,
  set: ChangeSet,
  job: JobRecord,
  endedAs: (id: JobId) => JobState | undefined,
): void {
  const { table } = book;
  waitFor(
    job,
    job.after.flatMap(({ job: id }) => (table.jobs.has(id) ? [id] : [])),
  );
  table.addJob(job);
  set.event({ job, kind: 'accept', state: 'queued' });
  const over = job.after.filter(({ job: id }) => !table.jobs.has(id));
  const states = over.map(
    (dependency) => [dependency, endedAs(dependency.job) ?? 'failed'] as const,
  );
  const broken = states.find(([{ when }, state]) => settle(when, state) === 'never');
  if (broken !== undefined) cancelJob(table, set, job, whyNever(...broken));
  else if (job.waitsFor.size === 0) table.queues.addJob(job);
}
