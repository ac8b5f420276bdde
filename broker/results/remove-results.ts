import type { Transaction } from 'kysely';
import { mayChange } from '../../core/data/dataset.ts';
import { GridError } from '../../core/errors.ts';
import type { JobId } from '../../core/ids.ts';
import { jobInputs } from '../../core/job/spec.ts';
import { jobStateOf } from '../../core/job/summary.ts';
import type { Peer } from '../../core/vo/caller.ts';
import type { Access } from '../../core/vo/policy.ts';
import type { Book } from '../book.ts';
import { dropTrees } from '../data/release-trees.ts';
import { parseStoredSpec } from '../jobs/records.ts';
import { inChunks } from '../ledger/in-chunks.ts';
import type { LedgerDb, LedgerSchema } from '../ledger/ledger.ts';
import { visible } from '../visible.ts';

interface Parts {
  readonly book: Book;
  readonly access: Access;
}

/** What was let go. */
interface Removed {
  readonly files: number;
  readonly totalBytes: number;
}

type Db = Transaction<LedgerSchema>;

/** Attempts in one transaction. */
const MOST = 1_000;
/** Names of jobs in a message. */
const SHOWN = 5;

/**
 * Lets go of the results of a job that has ended, before its time: they count for its owner no more, and the store is
 * swept of what nothing else names. Done again it goes on where it was cut off. Throws PERMISSION_DENIED, and
 * JOB_EVENT_REFUSED where the job is open or an open job takes them as an input.
 */
export async function removeResults(parts: Parts, peer: Peer, id: string): Promise<Removed> {
  const { book, access } = parts;
  const job = await visible(parts, peer, id);
  if (peer.limited || !mayChange(peer, job, access))
    throw new GridError(
      'PERMISSION_DENIED',
      peer.limited
        ? 'a limited proxy may not remove results'
        : `job ${id} belongs to ${job.owner}, and you are no manager of ${job.vo}`,
    );
  const jobId = id as JobId;
  await book.recorder.amend(async (db) => {
    await checkFree(book, db, jobId);
    // From here on whoever names the job finds its results removed.
    await db
      .insertInto('removed_results')
      .values({ job_id: jobId, by: peer.dn, at_ms: Math.floor(book.clock.nowMs()) })
      .onConflict((conflict) => conflict.column('job_id').doNothing())
      .execute();
  });
  const trees = new Map<string, Removed>();
  let isRest = true;
  while (isRest)
    await book.recorder.amend(async (db) => {
      // Somebody may have opened it again between two parts.
      await checkFree(book, db, jobId);
      isRest = await removeSome(db, jobId, trees);
    });
  const all = [...trees.values()];
  return {
    files: all.reduce((sum, { files }) => sum + files, 0),
    totalBytes: all.reduce((sum, { totalBytes }) => sum + totalBytes, 0),
  };
}

/** Throws unless nobody needs the results, or is about to. */
async function checkFree({ table, holds }: Book, db: LedgerDb, id: JobId): Promise<void> {
  const refuse = (message: string): GridError => new GridError('JOB_EVENT_REFUSED', message);
  const open = table.jobs.get(id);
  if (open !== undefined)
    throw refuse(`job ${id} is ${jobStateOf(open.counts)}: its results can go when it has ended`);
  if (holds.has(id))
    throw refuse(`job ${id} is being retried or named by another job just now: try again`);
  if (!table.isNamed(id)) return;
  const after = [...table.jobs.values()].filter((job) =>
    job.after.some(({ job: on }) => on === id),
  );
  const ids = after.map((job) => job.id);
  const specs = await inChunks(ids, (chunk) =>
    db.selectFrom('jobs').select(['id', 'spec']).where('id', 'in', chunk).execute(),
  );
  const known = new Map(specs.map(({ id: job, spec }) => [job, parseStoredSpec(spec)]));
  const users = ids.filter((job) => {
    const spec = known.get(job);
    return spec === undefined || jobInputs(spec).some(({ job: from }) => from === id);
  });
  if (users.length === 0) return;
  const more = users.length > SHOWN ? ` and ${users.length - SHOWN} more` : '';
  throw refuse(
    `the results of job ${id} are an input of ${users.slice(0, SHOWN).join(', ')}${more}: wait for these, or cancel them`,
  );
}

/** Lets go of some; says whether there may be more. */
async function removeSome(db: Db, id: JobId, gone: Map<string, Removed>): Promise<boolean> {
  const attempts = await db
    .selectFrom('attempts')
    .select(['id', 'outputs'])
    .where('job_id', '=', id)
    .where('outputs', '<>', '')
    .limit(MOST)
    .execute();
  const tasks = await db
    .selectFrom('tasks')
    .select(['ordinal', 'live_tree'])
    .where('job_id', '=', id)
    .where('live', 'is not', null)
    .limit(MOST)
    .execute();
  const names = [
    ...attempts.map(({ outputs }) => outputs),
    ...tasks.map(({ live_tree }) => live_tree),
  ];
  const trees = await inChunks([...new Set(names)], (chunk) =>
    db.selectFrom('trees').selectAll().where('digest', 'in', chunk).execute(),
  );
  for (const { digest, files, total_bytes } of trees)
    gone.set(digest, { files, totalBytes: total_bytes });
  if (attempts.length > 0)
    await db
      .updateTable('attempts')
      .set({ outputs: '' })
      .where(
        'id',
        'in',
        attempts.map((attempt) => attempt.id),
      )
      .execute();
  if (tasks.length > 0)
    await db
      .updateTable('tasks')
      .set({ live: null, live_tree: '' })
      .where('job_id', '=', id)
      .where(
        'ordinal',
        'in',
        tasks.map(({ ordinal }) => ordinal),
      )
      .execute();
  await dropTrees(db, names);
  return attempts.length === MOST || tasks.length === MOST;
}
