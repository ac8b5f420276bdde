import type { JobId } from '../../core/ids.ts';
import type { JobEvent } from '../../proto/gen/grid/v1/broker.ts';
import { stateToWire } from '../../service/rpc/wire.ts';
import type { Book } from '../book.ts';
import { openBell } from '../feed.ts';
import type { EventRow } from '../ledger/ledger.ts';

const PAGE = 1_000;

/** The job's events above `afterSeq`; with `follow` until the job has ended. */
export async function* watchJob(
  book: Book,
  id: JobId,
  wish: { readonly afterSeq: number; readonly follow: boolean },
  signal: AbortSignal,
): AsyncGenerator<JobEvent> {
  const bell = openBell();
  const unlisten = book.feed.listen(id, bell.wake);
  try {
    await book.recorder.settled();
    for (let seq = wish.afterSeq; !signal.aborted; ) {
      // Looked at first: what ends the job is in the ledger before the job leaves the memory's watchers.
      const over = !book.table.jobs.has(id);
      if (over) await book.recorder.settled();
      const rows = await readEvents(book, id, seq);
      for (const row of rows) yield eventToWire(row);
      seq = rows.at(-1)?.seq ?? seq;
      if (rows.length === PAGE) continue;
      if (over || !wish.follow) return;
      await bell.wait(signal);
    }
  } finally {
    unlisten();
  }
}

const readEvents = (book: Book, id: JobId, after: number): Promise<EventRow[]> =>
  book.db
    .selectFrom('events')
    .selectAll()
    .where('job_id', '=', id)
    .where('seq', '>', after)
    .orderBy('seq')
    .limit(PAGE)
    .execute();

const eventToWire = (row: EventRow): JobEvent => ({
  seq: row.seq,
  atMs: row.at_ms,
  jobId: row.job_id,
  ordinal: row.ordinal,
  attemptId: row.attempt_id,
  kind: row.kind,
  state: stateToWire(row.state),
  site: row.site,
  reason: row.reason,
  detail: row.detail,
});
