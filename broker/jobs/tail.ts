import type { TreeRef } from '../../core/data/manifest.ts';
import { GridError } from '../../core/errors.ts';
import type { JobId, SiteId } from '../../core/ids.ts';
import { attemptId } from '../../core/ids.ts';
import type { TailTaskRequest } from '../../proto/gen/grid/v1/broker.ts';
import type { TailChunk } from '../../proto/gen/grid/v1/common.ts';
import { treeToWire } from '../../service/rpc/wire.ts';
import type { Book } from '../book.ts';
import { checkKept } from '../results/kept-results.ts';
import type { SiteLinks } from '../sites/site-links.ts';
import { readTrees } from './job-store.ts';
import { parseLive, parseOutcome } from './records.ts';

/**
 * Output of a task's last attempt, or a file of it: from its site, or where to find it once it has been stored. Where the
 * site cannot be reached that is what there is of live outputs.
 */
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
    .select(['attempts.id', 'attempts.site', 'attempts.outcome', 'attempts.outputs', 'tasks.live'])
    .where('tasks.job_id', '=', jobId)
    .where('tasks.ordinal', '=', ordinal)
    .executeTakeFirst();
  if (row === undefined)
    throw new GridError('ATTEMPT_NOT_FOUND', `task ${ordinal} of ${jobId} has not been placed`);
  const outputs = row.outcome === null ? undefined : parseOutcome(row.outcome, row.outputs).outputs;
  if (outputs !== undefined && outputs.digest !== '') {
    yield await inStore(book, outputs, offset);
    return;
  }
  if (outputs !== undefined) await checkKept(book.db, [jobId]);
  const wish = { attemptId: attemptId(row.id), stream, file, offset, follow };
  const chunks = reachable(() => links.tail(row.site as SiteId, wish, signal), row.site);
  if (!(chunks instanceof GridError)) yield* chunks;
  else {
    const live = row.live === null ? undefined : parseLive(row.live);
    // Who follows waits for the site to come back.
    if (follow || live?.attempt !== row.id || live.tree.digest === '') throw chunks;
    yield await inStore(book, live.tree, offset);
  }
}

/** What the site gives, or why it cannot be asked. */
function reachable(
  tail: () => AsyncIterable<TailChunk> | undefined,
  site: string,
): AsyncIterable<TailChunk> | GridError {
  try {
    return tail() ?? new GridError('SITE_NOT_FOUND', `site ${site} is not enrolled any more`);
  } catch (error) {
    if (error instanceof GridError) return error;
    throw error;
  }
}

async function inStore({ db }: Book, tree: TreeRef, offset: number): Promise<TailChunk> {
  const trees = await readTrees(db, [tree.digest]);
  return { offset, data: Buffer.alloc(0), stored: treeToWire(trees.get(tree.digest) ?? tree) };
}
