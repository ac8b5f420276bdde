import { sql, type Transaction } from 'kysely';
import type { JobTable } from '../jobs/job-table.ts';
import type { LedgerSchema } from '../ledger/ledger.ts';

type Db = Transaction<LedgerSchema>;

/** A submission that has found a dataset is in the ledger by then. */
const SETTLED_MS = 600_000;
/** In one transaction. */
const MOST = 1_000;

/** Removes those of these trees that no job, no task, no attempt and no dataset names. */
export async function dropTrees(db: Db, digests: readonly string[]): Promise<void> {
  const some = [...new Set(digests)].filter((digest) => digest !== '');
  if (some.length === 0) return;
  await db
    .deleteFrom('trees')
    .where('digest', 'in', some)
    .where(
      sql<boolean>`not exists (select 1 from jobs where inputs <> '' and inputs = trees.digest)`,
    )
    .where(
      sql<boolean>`not exists (select 1 from attempts where outputs <> '' and outputs = trees.digest)`,
    )
    .where(
      sql<boolean>`not exists (select 1 from tasks where live_tree <> '' and live_tree = trees.digest)`,
    )
    .where(
      sql<boolean>`not exists (select 1 from datasets where tree = trees.digest and released = 0)`,
    )
    .execute();
}

/**
 * Lets go of the trees of datasets that were removed or have expired, once every open job of their VO was submitted later:
 * an open job may have named them before. Says whether there may be more.
 */
export async function releaseDatasets(
  db: Db,
  { jobs }: Pick<JobTable, 'jobs'>,
  nowMs: number,
): Promise<boolean> {
  const settledMs = Math.floor(nowMs - SETTLED_MS);
  const oldest = new Map<string, number>();
  for (const { vo, submittedAtMs } of jobs.values())
    oldest.set(vo, Math.min(oldest.get(vo) ?? settledMs, submittedAtMs));
  const vos = await db.selectFrom('datasets').select('vo').distinct().execute();
  for (const { vo } of vos) if (await releaseOf(db, vo, oldest.get(vo) ?? settledMs)) return true;
  return false;
}

async function releaseOf(db: Db, vo: string, beforeMs: number): Promise<boolean> {
  const gone = await db
    .selectFrom('datasets')
    .select(['name', 'version', 'tree'])
    .where('vo', '=', vo)
    .where('released', '=', 0)
    .where((where) =>
      where.or([where('removed_ms', '<', beforeMs), where('expires_ms', '<', beforeMs)]),
    )
    .limit(MOST)
    .execute();
  for (const { name, version } of gone)
    await db
      .updateTable('datasets')
      .set({ released: 1 })
      .where('vo', '=', vo)
      .where('name', '=', name)
      .where('version', '=', version)
      .execute();
  await dropTrees(
    db,
    gone.map(({ tree }) => tree),
  );
  return gone.length === MOST;
}
