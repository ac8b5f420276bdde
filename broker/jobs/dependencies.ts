import { GridError, type Problem } from '../../core/errors.ts';
import type { JobId } from '../../core/ids.ts';
import { dependenciesOf } from '../../core/job/dependency.ts';
import { isJobId } from '../../core/job/job-id.ts';
import { type JobSpec, jobInputs } from '../../core/job/spec.ts';
import { isFinal, type JobState } from '../../core/job/state.ts';
import type { Caller } from '../../core/vo/caller.ts';
import { type Access, mayRead, type Owned } from '../../core/vo/policy.ts';
import type { Book } from '../book.ts';
import { inChunks } from '../ledger/in-chunks.ts';

/** A job that others wait for. */
export interface AwaitedJob extends Owned {
  readonly tasks: number;
  /** How it ended; undefined while it is open. */
  readonly ended?: JobState;
}

/** More results than this do not fit into one message to a gateway. */
export const MAX_RESULTS = 10_000;

/**
 * The jobs that new jobs wait for. Throws SPEC_INVALID for those that do not exist as far as the caller may know, and
 * for results of another VO, whose chunks this job's site cannot read. Names of nodes of a new flow are passed over. What it calls open is in memory when it returns.
 */
export async function readDependencies(
  book: Book,
  jobs: readonly { readonly spec: JobSpec }[],
  caller: Caller,
  access: Access,
): Promise<ReadonlyMap<JobId, AwaitedJob>> {
  const ids = new Set(
    jobs.flatMap(({ spec }) =>
      dependenciesOf(spec).flatMap(({ job }) => (isJobId(job) ? [job] : [])),
    ),
  );
  if (ids.size === 0) return new Map();
  const found = await find(book, [...ids]);
  const problems = jobs.flatMap(({ spec }, index) =>
    problemsOf(spec, found, caller, access).map(({ where, message }) => ({
      where: jobs.length === 1 ? where : `jobs[${index}].${where}`,
      message,
    })),
  );
  if (problems.length > 0)
    throw new GridError('SPEC_INVALID', 'the job refers to jobs that it cannot use', { problems });
  return found;
}

async function find(book: Book, ids: readonly JobId[]): Promise<Map<JobId, AwaitedJob>> {
  for (;;) {
    const found = new Map<JobId, AwaitedJob>();
    const others = ids.filter((id) => !book.table.jobs.has(id));
    if (others.length > 0) {
      // A job leaves the memory before its end is in the ledger.
      await book.recorder.settled();
      const rows = await inChunks(others, (chunk) =>
        book.db
          .selectFrom('job_state')
          .innerJoin('jobs', 'jobs.id', 'job_state.job_id')
          .select(['jobs.id', 'owner', 'vo', 'state', 'tasks'])
          .where('jobs.id', 'in', chunk)
          .execute(),
      );
      for (const { id, owner, vo, state, tasks } of rows) {
        const ended = isFinal(state) ? { ended: state } : {};
        found.set(id as JobId, { owner, vo, tasks, ...ended } as AwaitedJob);
      }
    }
    for (const id of ids) {
      const open = book.table.jobs.get(id);
      if (open !== undefined) found.set(id, { owner: open.owner, vo: open.vo, tasks: open.tasks });
    }
    // While the ledger was read an open job may have ended: then look again.
    const moved = [...found].some(([id, { ended }]) => !ended && !book.table.jobs.has(id));
    if (!moved && ids.every((id) => found.has(id) || !book.table.jobs.has(id))) return found;
  }
}

function problemsOf(
  spec: JobSpec,
  found: ReadonlyMap<JobId, AwaitedJob>,
  caller: Caller,
  access: Access,
): readonly Problem[] {
  const problems: Problem[] = [];
  const visible = (id: JobId, where: string): AwaitedJob | undefined => {
    const job = found.get(id);
    if (job !== undefined && mayRead(caller, job, access)) return job;
    problems.push({ where, message: `there is no job ${id} that you may see` });
    return undefined;
  };
  for (const [index, { job }] of spec.after.entries())
    if (isJobId(job)) visible(job, `after[${index}]`);
  for (const { job: id } of jobInputs(spec)) {
    const job = isJobId(id) ? visible(id, 'inputs') : undefined;
    if (job === undefined) continue;
    if (job.vo !== spec.vo) {
      const message = `job ${id} ran under VO ${job.vo}: its results cannot be read under ${spec.vo}`;
      problems.push({ where: 'inputs', message });
    }
    if (job.tasks > MAX_RESULTS) {
      const message = `job ${id} has ${job.tasks} tasks: at most ${MAX_RESULTS} can be inputs`;
      problems.push({ where: 'inputs', message });
    }
  }
  return problems;
}
