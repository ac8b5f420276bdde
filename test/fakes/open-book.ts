import { pino } from 'pino';
import type { Book } from '../../broker/book.ts';
import { begin, commit } from '../../broker/book.ts';
import { eventNumbers } from '../../broker/change-set.ts';
import { openFeed } from '../../broker/feed.ts';
import { openLedger } from '../../broker/ledger.ts';
import { loadTable } from '../../broker/load-table.ts';
import { openRecorder } from '../../broker/recorder.ts';
import type { JobRecord } from '../../broker/records.ts';
import { type JobId, jobId, siteId } from '../../core/ids.ts';
import { formatAsk } from '../../core/match/ask.ts';
import { systemClock } from '../../service/clock.ts';
import { askFor, specOf } from './offers.ts';

/** A broker's memory and ledger without sites, clients or rounds. */
export interface OpenBook extends Book {
  /** Puts jobs in, named as they are submitted; `after` names others. */
  add(
    jobs: Readonly<Record<string, { readonly tasks?: number; readonly after?: string[] }>>,
  ): Promise<void>;
  readonly get: (id: string) => JobRecord;
  readonly failures: unknown[];
}

export async function openBook(file: string): Promise<OpenBook> {
  const { db } = await openLedger(file);
  const log = pino({ level: 'silent' });
  const loaded = await loadTable(db);
  const failures: unknown[] = [];
  const book: Book = {
    db,
    table: loaded.table,
    recorder: openRecorder(db, log, (error) => failures.push(error)),
    feed: openFeed(),
    clock: systemClock,
    log,
    nextEvent: eventNumbers(loaded.lastEvent),
  };
  let seq = loaded.lastSeq;
  let asks = loaded.asks.size;
  const add: OpenBook['add'] = async (jobs) => {
    const set = begin(book);
    const fresh = asks === 0 ? [{ id: 1, ask: formatAsk(askFor()) }] : [];
    asks = 1;
    const rows = Object.entries(jobs).map(([name, { tasks = 1, after = [] }]) => {
      seq += 1;
      const job: JobRecord = {
        id: jobId(name),
        seq,
        owner: askFor().owner,
        vo: askFor().vo,
        askId: 1,
        ask: askFor(),
        tasks,
        inputs: '',
        after: after.map(jobId),
        retries: 0,
        onLost: 'release',
        submittedAtMs: set.nowMs,
        nextOrdinal: 0,
        counts: { queued: tasks },
        sites: new Set(),
        reason: '',
        detail: '',
        waitsFor: new Set<JobId>(after.map(jobId)),
        open: new Map(),
      };
      book.table.addJob(job);
      set.event({ job, kind: 'accept', state: 'queued' });
      if (after.length === 0) book.table.queues.addJob(job);
      return {
        id: name,
        seq,
        owner: job.owner,
        fqans: '[]',
        vo: job.vo,
        name,
        spec: JSON.stringify(specOf({ name })),
        inputs: '',
        ask_id: 1,
        tasks,
        after: JSON.stringify(after),
        retries: 0,
        keep: 0,
        submitted_ms: set.nowMs,
      };
    });
    await commit(book, set, { asks: fresh, jobs: rows });
  };
  const get = (id: string): JobRecord => {
    const job = book.table.jobs.get(jobId(id));
    if (job === undefined) throw new Error(`${id} is not open`);
    return job;
  };
  return { ...book, add, get, failures };
}

/** A placement as a round decides it. */
export const at = (site: string, job: string, ordinal = 0, backlog = false) => ({
  job: jobId(job),
  ordinal,
  site: siteId(site),
  backlog,
});
