import { type Book, begin, commit } from '../../broker/book.ts';
import { place } from '../../broker/jobs/moves.ts';
import { applyReport } from '../../broker/jobs/updates.ts';
import type { TaskRow } from '../../broker/ledger/ledger.ts';
import { EMPTY_TREE } from '../../core/data/manifest.ts';
import { siteId } from '../../core/ids.ts';
import type { Outcome } from '../../core/job/outcome.ts';
import { at, type OpenBook } from './open-book.ts';

const DAY_MS = 86_400_000;

export const DONE: Outcome = {
  exitCode: 0,
  signal: 0,
  reason: '',
  detail: '',
  usage: { cpuMs: 0, wallMs: 0, peakMemoryBytes: 0, bytesIn: 0, bytesOut: 0 },
  outputs: EMPTY_TREE,
};

/** Jobs that have run and are done; each task has left a tree. */
export async function endAll(book: OpenBook, names: readonly string[], tasks = 1): Promise<void> {
  await book.add(Object.fromEntries(names.map((name) => [name, { tasks }])));
  await finishAll(book, names, tasks);
}

export async function finishAll(book: Book, names: readonly string[], tasks = 1): Promise<void> {
  const set = begin(book);
  for (const name of names) {
    for (let ordinal = 0; ordinal < tasks; ordinal += 1) {
      const { id } = place(book.table, set, at('aachen', name, ordinal));
      const digest = tasks === 1 ? `tree of ${name}` : `tree of ${name}.${ordinal}`;
      const outcome = { ...DONE, outputs: { digest, totalBytes: 1, files: 1 } };
      const report = {
        attemptId: id,
        atMs: set.nowMs,
        detail: '',
        state: 'done' as const,
        outcome,
      };
      applyReport(book.table, set, siteId('aachen'), report, book.log);
    }
  }
  await commit(book, set);
}

/** The first task of a job, with live outputs. */
export const liveTask = (job: string, tree: string): TaskRow => ({
  ...{ job_id: job, ordinal: 0, state: 'running', reason: '', detail: '' },
  ...{ attempt_id: '', attempts: 1, releases: 0, avoid: '[]', not_before_ms: 0 },
  ...{ job_failures: 0, site_failures: 0, data_failures: 0, ask_id: null, ended_ms: null },
  live: '{}',
  live_tree: tree,
});

/** Lets jobs (or all whose names begin so) have ended two days ago, if they have ended. */
export async function age(book: Book, ...names: readonly string[]): Promise<void> {
  await book.recorder.settled();
  for (const name of names)
    await book.db
      .updateTable('job_state')
      .set({ ended_ms: book.clock.nowMs() - 2 * DAY_MS })
      .where('job_id', 'like', `${name}%`)
      .where('ended_ms', 'is not', null)
      .execute();
}
