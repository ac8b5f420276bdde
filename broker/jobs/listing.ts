import type { SelectQueryBuilder } from 'kysely';
import type { TreeRef } from '../../core/data/manifest.ts';
import { GridError } from '../../core/errors.ts';
import type { Dn, JobId, VoName } from '../../core/ids.ts';
import { type JobSpec, taskValue } from '../../core/job/spec.ts';
import { JOB_STATES, type JobState } from '../../core/job/state.ts';
import { taskCountsOf } from '../../core/job/summary.ts';
import type { JobSummary, TaskStatus } from '../../proto/gen/grid/v1/broker.ts';
import type { LiveOutputs } from '../../proto/gen/grid/v1/common.ts';
import { liveToWire, outcomeToWire, stateToWire } from '../../service/rpc/wire.ts';
import { withoutDigests } from '../../service/staging/chunk-store.ts';
import type { Book } from '../book.ts';
import type { JobRow, JobStateRow, LedgerSchema } from '../ledger/ledger.ts';
import { readTrees, type StoredJob, storedJob } from './job-store.ts';
import { type LiveState, parseLive, parseOutcome, parseStoredSpec } from './records.ts';

/** Which jobs to list. */
export interface ListWish {
  /** Jobs of this owner and of these VOs; undefined means everybody's. */
  readonly of: { readonly owner: Dn; readonly vos: readonly VoName[] } | undefined;
  readonly states: readonly JobState[];
  readonly name: string;
  readonly limit: number;
  /** Only jobs older than this one. */
  readonly before: string;
}

const OF_JOB = [
  'id',
  'seq',
  'name',
  'owner',
  'vo',
  'fqans',
  'tasks',
  'submitted_ms',
  'flow_id',
  'flow_node',
] as const;
export const SUMMARY = [
  ...OF_JOB,
  ...(['state', 'reason', 'detail', 'counts', 'sites', 'ended_ms'] as const),
];
type SummaryRow = Pick<JobRow & JobStateRow, (typeof SUMMARY)[number]>;

/** A page of jobs, newest first, and where the next one begins ('' for no more). */
export async function listJobs(
  book: Book,
  wish: ListWish,
  signal?: AbortSignal,
): Promise<{ readonly jobs: readonly JobSummary[]; readonly next: string }> {
  await book.recorder.settled();
  const before = wish.before === '' ? Number.MAX_SAFE_INTEGER : await jobSeq(book, wish);
  const found = new Map<string, SummaryRow>();
  for (const whose of partsOf(wish))
    for (const row of await readPart(book, wish, { whose, before }, signal)) found.set(row.id, row);
  const rows = [...found.values()].toSorted((a, b) => b.seq - a.seq);
  const page = rows.slice(0, wish.limit);
  const next = rows.length > page.length ? (page.at(-1)?.id ?? '') : '';
  // Members of a VO see each other's jobs here, and not what these have read.
  const jobs = page.map(summaryToWire);
  return { jobs: jobs.map((job) => ({ ...job, detail: withoutDigests(job.detail) })), next };
}

/** Jobs of one owner or of one VO stand together in an index, by age; so do those of everybody. */
type Whose = readonly ['owner' | 'vo', string] | undefined;

const partsOf = ({ of }: ListWish): readonly Whose[] =>
  of === undefined
    ? [undefined]
    : [['owner', of.owner], ...of.vos.map((vo) => ['vo', vo] as const)];

/** Jobs that are looked at at a time: a question that fits few of a million does not keep others from having their turn. */
const SLICE = 1_000;

/** The newest jobs of a part that fit: one more than is wanted, where there are so many. */
async function readPart(
  book: Book,
  { limit, ...wish }: ListWish,
  { whose, before }: { readonly whose: Whose; readonly before: number },
  signal: AbortSignal | undefined,
): Promise<readonly SummaryRow[]> {
  const rows: SummaryRow[] = [];
  for (let end = before; end > 0 && rows.length <= limit && signal?.aborted !== true; ) {
    const from = await sliceBefore(book, whose, end);
    let query = book.db
      .selectFrom(
        sliceOf(book, whose, end)
          .select([...OF_JOB])
          .limit(SLICE)
          .as('jobs'),
      )
      .innerJoin('job_state', 'job_state.job_id', 'jobs.id')
      .select([...SUMMARY]);
    if (wish.states.length > 0 && wish.states.length < JOB_STATES.length)
      query = query.where('state', 'in', [...wish.states]);
    if (wish.name !== '') query = query.where('name', '=', wish.name);
    const some = await query
      .orderBy('seq', 'desc')
      .limit(limit + 1 - rows.length)
      .execute();
    rows.push(...some);
    end = from;
    await new Promise(setImmediate);
  }
  return rows;
}

const equal = ([column, value]: NonNullable<Whose>) => [column, '=', value] as const;

/** Limited, it is read before anything else is looked at, whatever a database knows of its tables. */
function sliceOf(book: Book, whose: Whose, end: number) {
  const query = book.db.selectFrom('jobs').where('seq', '<', end).orderBy('seq', 'desc');
  return whose === undefined ? query : query.where(...equal(whose));
}

/** The number of the last job of a slice; 0 where there are no more than these. */
async function sliceBefore(book: Book, whose: Whose, end: number): Promise<number> {
  const row = await sliceOf(book, whose, end)
    .select('seq')
    .offset(SLICE - 1)
    .limit(1)
    .executeTakeFirst();
  return row?.seq ?? 0;
}

type Joined = SelectQueryBuilder<LedgerSchema, 'jobs' | 'job_state', SummaryRow>;

const summaries = (book: Book): Joined =>
  book.db
    .selectFrom('jobs')
    .innerJoin('job_state', 'job_state.job_id', 'jobs.id')
    .select([...SUMMARY]);

/** Where a page begins; of a job that the caller was never shown nothing is told, not even that there is one. */
async function jobSeq(book: Book, { before: id, of }: ListWish): Promise<number> {
  const rows = await Promise.all(
    (['jobs', 'history'] as const).map((table) =>
      book.db
        .selectFrom(table)
        .select(['seq', 'owner', 'vo'])
        .where('id', '=', id)
        .executeTakeFirst(),
    ),
  );
  const row = rows.find((found) => found !== undefined);
  if (row === undefined || !isListed(of, row))
    throw new GridError('REQUEST_INVALID', `page token '${id.slice(0, 40)}' is no job id`);
  return row.seq;
}

/** Whether a listing shows what somebody has in a VO. */
export const isListed = (
  of: ListWish['of'],
  { owner, vo }: { readonly owner: string; readonly vo: string },
): boolean => of === undefined || of.owner === owner || of.vos.some((one) => one === vo);

/** Owner and VO of a job, or undefined. */
export async function ownerOf(
  book: Book,
  id: JobId,
): Promise<{ readonly owner: Dn; readonly vo: VoName } | undefined> {
  const open = book.table.jobs.get(id);
  if (open !== undefined) return open;
  const row = await book.db
    .selectFrom('jobs')
    .select(['owner', 'vo'])
    .where('id', '=', id)
    .executeTakeFirst();
  return row as { owner: Dn; vo: VoName } | undefined;
}

/** The line of one job, which must exist. */
export async function readSummary(book: Book, id: JobId): Promise<JobSummary> {
  await book.recorder.settled();
  return summaryToWire(await summaries(book).where('id', '=', id).executeTakeFirstOrThrow());
}

/** The same, with the job as it was submitted. */
export async function readJob(
  book: Book,
  id: JobId,
): Promise<StoredJob & { readonly summary: JobSummary }> {
  await book.recorder.settled();
  const row = await summaries(book)
    .select(['spec', 'inputs'])
    .where('id', '=', id)
    .executeTakeFirstOrThrow();
  const trees = await readTrees(book.db, [row.inputs]);
  const inputs = trees.get(row.inputs) ?? { digest: '', totalBytes: 0, files: 0 };
  return { ...storedJob(row, inputs), summary: summaryToWire(row) };
}

/** What a job asks for, as it is in the ledger. */
export async function readSpec(book: Book, id: JobId): Promise<JobSpec> {
  const query = book.db.selectFrom('jobs').select('spec').where('id', '=', id);
  return parseStoredSpec((await query.executeTakeFirstOrThrow()).spec);
}

/** Tasks that have come into being, by ordinal; outcomes with the trees that they name. */
export async function readTasks(
  book: Book,
  { id, spec }: { readonly id: JobId; readonly spec: JobSpec },
  page: { readonly first: number; readonly limit: number },
): Promise<readonly TaskStatus[]> {
  const rows = await taskRows(book)
    .where('tasks.job_id', '=', id)
    .where('tasks.ordinal', '>=', page.first)
    .orderBy('tasks.ordinal')
    .limit(page.limit)
    .execute();
  return tasksToWire(book, spec, rows);
}

/** Tasks with their last attempts. */
export const taskRows = (book: Book) =>
  book.db
    .selectFrom('tasks')
    .leftJoin('attempts', 'attempts.id', 'tasks.attempt_id')
    .select(['tasks.ordinal', 'tasks.state', 'tasks.reason', 'tasks.detail', 'tasks.attempt_id'])
    .select(['tasks.attempts', 'attempts.site', 'attempts.placed_ms', 'attempts.started_ms'])
    .select(['attempts.ended_ms', 'attempts.outcome', 'attempts.outputs'])
    .select(['tasks.live', 'tasks.live_tree']);

/** Tasks of one job as they travel. */
export async function tasksToWire(
  book: Book,
  spec: JobSpec,
  rows: Awaited<ReturnType<ReturnType<typeof taskRows>['execute']>>,
): Promise<readonly TaskStatus[]> {
  const outcomes = rows.map(({ outcome, outputs }) =>
    outcome ? parseOutcome(outcome, outputs ?? '') : undefined,
  );
  const named = outcomes.map((outcome) => outcome?.outputs.digest ?? '');
  const trees = await readTrees(book.db, [...named, ...rows.map(({ live_tree }) => live_tree)]);
  return rows.map((row, index): TaskStatus => {
    const outcome = outcomes[index];
    const outputs = trees.get(outcome?.outputs.digest ?? '') ?? outcome?.outputs;
    return {
      ordinal: row.ordinal,
      value: taskValue(spec, row.ordinal),
      state: stateToWire(row.state),
      reason: row.reason,
      detail: row.detail,
      site: row.site ?? '',
      attemptId: row.attempt_id,
      attempts: row.attempts,
      outcome: outcome && outputs ? outcomeToWire({ ...outcome, outputs }) : undefined,
      placedAtMs: row.placed_ms ?? 0,
      startedAtMs: row.started_ms ?? 0,
      endedAtMs: row.ended_ms ?? 0,
      live: row.live === null ? undefined : liveView(parseLive(row.live), trees),
    };
  });
}

const liveView = (live: LiveState, trees: ReadonlyMap<string, TreeRef>): LiveOutputs =>
  liveToWire({ ...live, tree: trees.get(live.tree.digest) ?? live.tree }, live);

export function summaryToWire(row: SummaryRow): JobSummary {
  return {
    id: row.id,
    name: row.name,
    owner: { dn: row.owner, vo: row.vo, fqans: JSON.parse(row.fqans) as string[] },
    state: stateToWire(row.state),
    reason: row.reason,
    detail: row.detail,
    submittedAtMs: row.submitted_ms,
    endedAtMs: row.ended_ms ?? 0,
    tasks: row.tasks,
    counts: taskCountsOf(JSON.parse(row.counts) as Partial<Record<JobState, number>>),
    sites: JSON.parse(row.sites) as string[],
    flowId: row.flow_id,
    flowNode: row.flow_node,
  };
}
