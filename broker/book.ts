import { background } from '../service/background.ts';
import type { Clock } from '../service/clock.ts';
import type { Log } from '../service/log.ts';
import { dropTrees } from './data/release-trees.ts';
import type { Feed } from './feed.ts';
import { type ChangeSet, openChange, touchedIds } from './jobs/change-set.ts';
import type { JobTable } from './jobs/job-table.ts';
import type { Holds } from './ledger/holds.ts';
import type { LedgerDb } from './ledger/ledger.ts';
import type { Change, Recorder } from './ledger/recorder.ts';

/** The broker's memory together with its ledger: what every part of the broker works on. */
export interface Book {
  readonly db: LedgerDb;
  readonly table: JobTable;
  readonly recorder: Recorder;
  readonly feed: Feed;
  readonly holds: Holds;
  readonly clock: Clock;
  readonly log: Log;
  /** Numbers events; each number once. */
  readonly nextEvent: () => number;
}

/** Begins a change of jobs as of now. */
export const begin = (book: Book): ChangeSet => openChange(book.clock.nowMs(), book.nextEvent);

/** Writes a change, with `more` in the same transaction; resolves when it is on the disk and watchers know. */
export async function commit(book: Book, set: ChangeSet, more: Change = {}): Promise<void> {
  const jobs = touchedIds(set);
  const recorded = book.recorder.record({ ...set.change(), ...more });
  const { dropped } = set;
  if (dropped.length > 0) {
    const going = book.recorder.amend((db) => dropTrees(db, dropped));
    background('let go of replaced trees', going, book.log);
  }
  await recorded;
  book.feed.notify(jobs);
}
