import { sql, type Transaction } from 'kysely';
import { datasetInput } from '../../core/data/dataset.ts';
import { voName } from '../../core/ids.ts';
import type { JobTable } from '../jobs/job-table.ts';
import type { Holds } from '../ledger/holds.ts';
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
 * Removes the next trees that nothing names: a broker that was ended between two commits leaves them, and nobody would ever
 * ask for them again. Gives the last that it has looked at; undefined where there are no more.
 */
export async function dropOrphans(db: Db, behind: string): Promise<string | undefined> {
  const rows = await db
    .selectFrom('trees')
    .select('digest')
    .where('digest', '>', behind)
    .orderBy('digest')
    .limit(MOST)
    .execute();
  await dropTrees(
    db,
    rows.map(({ digest }) => digest),
  );
  return rows.length < MOST ? undefined : rows.at(-1)?.digest;
}

/**
 * Lets go of the trees of datasets that were removed or have expired, once every open job of their VO was submitted later:
 * an open job may have named them before, and those that work under way holds are for it. Of what it let go of it keeps the
 * newest version alone, for its number. Says whether there may be more.
 */
export async function releaseDatasets(
  db: Db,
  { table: { jobs }, holds }: { readonly table: Pick<JobTable, 'jobs'>; readonly holds: Holds },
  nowMs: number,
): Promise<boolean> {
  const settledMs = Math.floor(nowMs - SETTLED_MS);
  const oldest = new Map<string, number>();
  for (const { vo, submittedAtMs } of jobs.values())
    oldest.set(vo, Math.min(oldest.get(vo) ?? settledMs, submittedAtMs));
  const vos = await db.selectFrom('datasets').select('vo').distinct().execute();
  for (const { vo } of vos)
    if (await releaseOf(db, holds, vo, oldest.get(vo) ?? settledMs)) return true;
  return false;
}

async function releaseOf(db: Db, holds: Holds, vo: string, beforeMs: number): Promise<boolean> {
  const old = await db
    .selectFrom('datasets')
    .select(['name', 'version', 'tree'])
    .where('vo', '=', vo)
    .where('released', '=', 0)
    .where((where) =>
      where.or([where('removed_ms', '<', beforeMs), where('expires_ms', '<', beforeMs)]),
    )
    .limit(MOST)
    .execute();
  const gone = old.filter(
    ({ name, version }) => !holds.has(datasetInput({ vo: voName(vo), name, version })),
  );
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
  for (const name of new Set(gone.map((each) => each.name))) await dropSuperseded(db, vo, name);
  return gone.length === MOST;
}

/** A version that is put every hour must not leave a row for ever. */
async function dropSuperseded(db: Db, vo: string, name: string): Promise<void> {
  const { newest } = await db
    .selectFrom('datasets')
    .select(({ fn }) => fn.max('version').as('newest'))
    .where('vo', '=', vo)
    .where('name', '=', name)
    .executeTakeFirstOrThrow();
  await db
    .deleteFrom('datasets')
    .where('vo', '=', vo)
    .where('name', '=', name)
    .where('released', '=', 1)
    .where('version', '<', newest)
    .execute();
}
