import { GridError } from '../core/errors.ts';
import type { JobId, SiteId } from '../core/ids.ts';
import { attemptId } from '../core/ids.ts';
import type { TailTaskRequest } from '../proto/gen/grid/v1/broker.ts';
import type { TailChunk } from '../proto/gen/grid/v1/common.ts';
import { treeToWire } from '../service/wire.ts';
import type { Book } from './book.ts';
import { readTrees } from './job-store.ts';
import { parseOutcome } from './records.ts';
import { checkKept } from './results/kept-results.ts';
import type { SiteLinks } from './site-links.ts';

/** Output of a task's last attempt, or a file of it: from its site, or where to find it once it has been stored. */
export async function* tailTask(
  book: Book,
  links: SiteLinks,
  request: TailTaskRequest,
  signal: AbortSignal,
): AsyncGenerator<TailChunk> {
  const { ordinal, stream, file, offset, follow } = request;
  const jobId = request.jobId as JobId;
  await book.recorder.settled();
  const row = await book.db
    .selectFrom('tasks')
    .innerJoin('attempts', 'attempts.id', 'tasks.attempt_id')
    .select(['attempts.id', 'attempts.site', 'attempts.outcome', 'attempts.outputs'])
    .where('tasks.job_id', '=', jobId)
    .where('tasks.ordinal', '=', ordinal)
    .executeTakeFirst();
  if (row === undefined)
    throw new GridError('ATTEMPT_NOT_FOUND', `task ${ordinal} of ${jobId} has not been placed`);
  const outputs = row.outcome === null ? undefined : parseOutcome(row.outcome, row.outputs).outputs;
  if (outputs !== undefined && outputs.digest !== '') {
    const trees = await readTrees(book.db, [outputs.digest]);
    const stored = treeToWire(trees.get(outputs.digest) ?? outputs);
    yield { offset, data: Buffer.alloc(0), stored };
    return;
  }
  if (outputs !== undefined) await checkKept(book.db, [jobId]);
  const wish = { attemptId: attemptId(row.id), stream, file, offset, follow };
  const chunks = links.tail(row.site as SiteId, wish, signal);
  if (chunks === undefined)
    throw new GridError('SITE_NOT_FOUND', `site ${row.site} is not enrolled any more`);
  yield* chunks;
}
