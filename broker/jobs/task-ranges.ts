import { sql } from 'kysely';
import type { JobId } from '../../core/ids.ts';
import { extendRanges, type TaskRange } from '../../core/job/ranges.ts';
import type { JobState } from '../../core/job/state.ts';
import type {
  ListTaskRangesRequest,
  ListTaskRangesResponse,
} from '../../proto/gen/grid/v1/broker.ts';
import { stateToWire } from '../../service/rpc/wire.ts';
import type { Book } from '../book.ts';
import { readSpec, taskRows, tasksToWire } from './listing.ts';

const MOST_RANGES = 10_000;
const MOST_TELLING = 1_000;
/** Rows that are read at a time; in between others have their turn. */
const PAGE = 10_000;

/** What a person wants to see first: what went wrong, then what is stuck, then what runs. */
const TELLING: readonly JobState[] = ['failed', 'held', 'suspended', 'cancelled', 'running'];

/** Where the tasks of a job stand. A million of them come to a few ranges, and their rows are never all in memory. */
export async function listTaskRanges(
  book: Book,
  id: JobId,
  { maxTelling }: Pick<ListTaskRangesRequest, 'maxTelling'>,
): Promise<ListTaskRangesResponse> {
  await book.recorder.settled();
  const ranges = await readRanges(book, id);
  return {
    ranges: ranges
      .slice(0, MOST_RANGES)
      .map(({ state, first, last }) => ({ state: stateToWire(state), first, last })),
    cut: ranges.length > MOST_RANGES,
    telling: await readTelling(book, id, Math.min(maxTelling, MOST_TELLING)),
  };
}

async function readRanges(book: Book, id: JobId): Promise<readonly TaskRange[]> {
  const job = await book.db
    .selectFrom('job_state')
    .innerJoin('jobs', 'jobs.id', 'job_state.job_id')
    .select(['tasks', 'next_ordinal', 'hold', 'cancel_reason'])
    .where('job_id', '=', id)
    .executeTakeFirstOrThrow();
  const ranges: TaskRange[] = [];
  for (let next = 0; next < job.next_ordinal && ranges.length <= MOST_RANGES; ) {
    const rows = await book.db
      .selectFrom('tasks')
      .select(['ordinal', 'state'])
      .where('job_id', '=', id)
      .where('ordinal', '>=', next)
      .orderBy('ordinal')
      .limit(PAGE)
      .execute();
    for (const { ordinal, state } of rows)
      extendRanges(ranges, { state, first: ordinal, last: ordinal });
    next = (rows.at(-1)?.ordinal ?? job.next_ordinal) + 1;
    await new Promise(setImmediate);
  }
  const fresh = job.cancel_reason !== null ? 'cancelled' : job.hold !== null ? 'held' : 'queued';
  if (job.next_ordinal < job.tasks)
    extendRanges(ranges, { state: fresh, first: job.next_ordinal, last: job.tasks - 1 });
  return ranges;
}

/** Only what has not ended or has ended badly is looked at: there is an index of each. */
async function readTelling(
  book: Book,
  id: JobId,
  limit: number,
): Promise<ListTaskRangesResponse['telling']> {
  const weight = sql.join(
    TELLING.map((state, index) => sql`when ${state} then ${sql.lit(index)}`),
    sql` `,
  );
  const rows = await taskRows(book)
    .where((where) =>
      where.or([
        where.and([where('tasks.job_id', '=', id), where('tasks.ended_ms', 'is', null)]),
        where.and([
          where('tasks.job_id', '=', id),
          sql<boolean>`tasks.state in ('failed', 'cancelled')`,
        ]),
      ]),
    )
    .where('tasks.state', 'in', TELLING)
    .orderBy(sql`case tasks.state ${weight} end`)
    .orderBy('tasks.ordinal')
    .limit(limit)
    .execute();
  return [...(await tasksToWire(book, await readSpec(book, id), rows))];
}
