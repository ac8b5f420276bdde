import { pino } from 'pino';
import type { Book } from '../../broker/book.ts';
import { begin, commit } from '../../broker/book.ts';
import { openFeed } from '../../broker/feed.ts';
import { eventNumbers } from '../../broker/jobs/change-set.ts';
import { loadTable } from '../../broker/jobs/load-table.ts';
import { type JobRecord, NOTHING, parseAfter, waitFor } from '../../broker/jobs/records.ts';
import { openHolds } from '../../broker/ledger/holds.ts';
import { type LedgerPlace, openLedger } from '../../broker/ledger/open-ledger.ts';
import { openRecorder } from '../../broker/ledger/recorder.ts';
import { jobId, siteId } from '../../core/ids.ts';
import { systemClock } from '../../service/clock.ts';
import { askFor, specOf } from './offers.ts';

interface NewRecord {
  readonly tasks?: number;
  readonly after?: string[];
  readonly retryMemory?: number;
  readonly maxRunning?: number;
}

/** A broker's memory and ledger without sites, clients or rounds. */
export interface OpenBook extends Book, AsyncDisposable {
  /** Puts jobs in, named as they are submitted; `after` names others, as `ID` or `ID:any`. */
  add(jobs: Readonly<Record<string, NewRecord>>): Promise<void>;
  readonly get: (id: string) => JobRecord;
  readonly failures: unknown[];
}

/** `where` is a place, or the file of a SQLite ledger. */
export async function openBook(where: LedgerPlace | string): Promise<OpenBook> {
  const place = typeof where === 'string' ? { kind: 'sqlite' as const, file: where } : where;
  const log = pino({ level: 'silent' });
  const failures: unknown[] = [];
  const onLost = (error: unknown): void => void failures.push(error);
  const ledger = await openLedger(place, { log, onLost });
  const { db } = ledger;
  const loaded = await loadTable(db, systemClock.nowMs());
  const book: Book = {
    db,
    table: loaded.table,
    recorder: openRecorder(ledger, log, (error) => failures.push(error)),
    feed: openFeed(),
    holds: openHolds(),
    clock: systemClock,
    log,
    nextEvent: eventNumbers(loaded.lastEvent),
  };
  let seq = loaded.lastSeq;
  const add: OpenBook['add'] = async (jobs) => {
    const set = begin(book);
    const asks = book.table.asks.of(set, askFor());
    const rows = Object.entries(jobs).map(([name, { tasks = 1, after = [], ...more }]) => {
      seq += 1;
      const dependencies = parseAfter(after);
      const job: JobRecord = {
        id: jobId(name),
        seq,
        owner: askFor().owner,
        vo: askFor().vo,
        ...asks,
        tasks,
        inputs: '',
        after: dependencies,
        retries: 0,
        ...more,
        onLost: 'release',
        submittedAtMs: set.nowMs,
        nextOrdinal: 0,
        counts: { queued: tasks },
        reason: '',
        detail: '',
        ...NOTHING,
      };
      waitFor(
        job,
        dependencies.map((dependency) => dependency.job),
      );
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
        ask_id: asks.askId,
        tasks,
        after: JSON.stringify(after),
        retries: 0,
        keep: 0,
        retry_memory: more.retryMemory ?? null,
        max_running: more.maxRunning ?? null,
        submitted_ms: set.nowMs,
        flow_id: '',
        flow_node: '',
      };
    });
    await commit(book, set, { jobs: rows });
  };
  const get = (id: string): JobRecord => {
    const job = book.table.jobs.get(jobId(id));
    if (job === undefined) throw new Error(`${id} is not open`);
    return job;
  };
  return {
    ...book,
    add,
    get,
    failures,
    [Symbol.asyncDispose]: () => ledger[Symbol.asyncDispose](),
  };
}

/** A placement as a round decides it. */
export const at = (site: string, job: string, ordinal = 0, backlog = false) => ({
  job: jobId(job),
  ordinal,
  site: siteId(site),
  backlog,
});
