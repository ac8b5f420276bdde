import type { TreeRef } from '../../core/data/manifest.ts';
import { dn, type JobId } from '../../core/ids.ts';
import type { JobSpec } from '../../core/job/spec.ts';
import type { Caller } from '../../core/vo/caller.ts';
import { parseFqan } from '../../core/vo/fqan.ts';
import { inChunks } from '../ledger/in-chunks.ts';
import type { JobRow, LedgerDb } from '../ledger/ledger.ts';
import { parseStoredSpec } from './records.ts';

/** What of a job is not kept in memory: what was asked, with its inputs and its owner. */
export interface StoredJob {
  readonly spec: JobSpec;
  readonly inputs: TreeRef;
  readonly owner: Caller;
}

/** Reads stored jobs; the last ones used are kept. */
export interface JobStore {
  /** All of them must exist. */
  get(ids: readonly JobId[]): Promise<ReadonlyMap<JobId, StoredJob>>;
  /** Keeps a job that was just submitted, unless so many are open `before` it that it would be gone when its turn comes. */
  keep(id: JobId, job: StoredJob, before: number): void;
}

const KEPT = 5_000;

export function openJobStore(db: LedgerDb): JobStore {
  const kept = new Map<JobId, StoredJob>();
  const keep = (id: JobId, job: StoredJob): void => {
    kept.delete(id);
    kept.set(id, job);
    const oldest = kept.size > KEPT ? kept.keys().next().value : undefined;
    if (oldest !== undefined) kept.delete(oldest);
  };
  const get = async (ids: readonly JobId[]): Promise<ReadonlyMap<JobId, StoredJob>> => {
    const found = new Map<JobId, StoredJob>();
    const missing = new Set<JobId>();
    for (const id of ids) {
      const job = kept.get(id);
      if (job === undefined) missing.add(id);
      else found.set(id, job);
    }
    if (missing.size === 0) return found;
    const rows = await db
      .selectFrom('jobs')
      .selectAll()
      .where('id', 'in', [...missing])
      .execute();
    const trees = await readTrees(
      db,
      rows.map((row) => row.inputs),
    );
    for (const row of rows) {
      const id = row.id as JobId;
      const job = storedJob(row, trees.get(row.inputs) ?? NO_TREE);
      found.set(id, job);
      keep(id, job);
    }
    return found;
  };
  return {
    get,
    keep: (id, job, before) => {
      if (before < KEPT) keep(id, job);
    },
  };
}

const NO_TREE: TreeRef = { digest: '', totalBytes: 0, files: 0 };

/** Trees by digest, with their manifests where these are kept. */
export async function readTrees(
  db: LedgerDb,
  digests: readonly string[],
): Promise<ReadonlyMap<string, TreeRef>> {
  const wanted = [...new Set(digests)].filter((digest) => digest !== '');
  const rows = await inChunks(wanted, (chunk) =>
    db.selectFrom('trees').selectAll().where('digest', 'in', chunk).execute(),
  );
  return new Map(
    rows.map(({ digest, total_bytes, files, manifest }) => [
      digest,
      { digest, totalBytes: total_bytes, files, ...(manifest === null ? {} : { manifest }) },
    ]),
  );
}

const parseFqans = (texts: readonly string[]): Caller['fqans'] =>
  texts.flatMap((text) => parseFqan(text) ?? []);

export const storedJob = (
  row: Pick<JobRow, 'spec' | 'owner' | 'fqans'>,
  inputs: TreeRef,
): StoredJob => ({
  spec: parseStoredSpec(row.spec),
  inputs,
  owner: { dn: dn(row.owner), fqans: parseFqans(JSON.parse(row.fqans) as string[]) },
});
