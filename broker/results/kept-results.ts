import { GridError } from '../../core/errors.ts';
import type { JobId } from '../../core/ids.ts';
import type { ResultsRemoved } from '../../proto/gen/grid/v1/broker.ts';
import { inChunks } from '../ledger/in-chunks.ts';
import type { LedgerDb } from '../ledger/ledger.ts';

/** Who let go of the results of a job; undefined while they are kept. */
export async function resultsRemoved(
  db: LedgerDb,
  job: JobId,
): Promise<ResultsRemoved | undefined> {
  const row = await db
    .selectFrom('removed_results')
    .select(['by', 'at_ms'])
    .where('job_id', '=', job)
    .executeTakeFirst();
  return row && { by: row.by, atMs: row.at_ms };
}

/** Throws RESULTS_REMOVED where somebody let go of the results of one of these jobs. */
export async function checkKept(db: LedgerDb, jobs: readonly JobId[]): Promise<void> {
  const wanted = [...new Set(jobs)];
  const [gone] = await inChunks(wanted, (chunk) =>
    db.selectFrom('removed_results').selectAll().where('job_id', 'in', chunk).execute(),
  );
  if (gone === undefined) return;
  const when = new Date(gone.at_ms).toISOString();
  throw new GridError(
    'RESULTS_REMOVED',
    `the results of job ${gone.job_id} were removed by ${gone.by} at ${when}`,
  );
}
