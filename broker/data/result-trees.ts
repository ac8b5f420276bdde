import { parseDataset } from '../../core/data/dataset.ts';
import type { TreeRef } from '../../core/data/manifest.ts';
import { GridError } from '../../core/errors.ts';
import type { JobId } from '../../core/ids.ts';
import { datasetInputs, type JobSpec, jobInputs, taskDirectory } from '../../core/job/spec.ts';
import { readTrees } from '../jobs/job-store.ts';
import { parseOutcome } from '../jobs/records.ts';
import type { Holds } from '../ledger/holds.ts';
import type { LedgerDb } from '../ledger/ledger.ts';
import type { DatasetRow } from '../ledger/ledger-data.ts';
import { checkKept } from '../results/kept-results.ts';

/** A tree that is on the grid already, and the place in the task's directory where it appears. */
export interface PlacedTree {
  readonly tree: TreeRef;
  readonly to: string;
}

/** Manifests ride along up to this many bytes; beyond it gateways fetch them. */
const MAX_MANIFEST_BYTES = 1_048_576;

/** The results of other jobs and the datasets that are inputs of this one; those jobs have ended. Throws RESULTS_REMOVED. */
export async function resultTrees(db: LedgerDb, spec: JobSpec): Promise<readonly PlacedTree[]> {
  const placed: { readonly digest: string; readonly to: string }[] = [];
  const inputs = jobInputs(spec);
  await checkKept(
    db,
    inputs.map(({ job }) => job),
  );
  for (const { job, to } of inputs) placed.push(...(await resultsOf(db, job, to)));
  for (const { from, to } of datasetInputs(spec)) placed.push(...(await datasetOf(db, from, to)));
  const trees = await readTrees(
    db,
    placed.map(({ digest }) => digest),
  );
  let left = MAX_MANIFEST_BYTES;
  return placed.map(({ digest, to }) => {
    // Of a tree that was let go the chunks may be there or not: the site looks, and says so.
    const tree = trees.get(digest) ?? { digest, totalBytes: 0, files: 0 };
    left -= tree.manifest?.length ?? 0;
    const { manifest: _manifest, ...bare } = tree;
    return { tree: left < 0 ? bare : tree, to };
  });
}

/** The tree of a version; it has been named when the job was submitted, and lives as long as the job. */
async function datasetOf(
  db: LedgerDb,
  from: string,
  to: string,
): Promise<readonly { readonly digest: string; readonly to: string }[]> {
  const row = await datasetRow(db, from);
  return row === undefined ? [] : [{ digest: row.tree, to }];
}

/** Keeps the datasets of jobs that are about to be named, whoever removes them meanwhile. */
export const holdDatasets = (
  holds: Holds,
  jobs: readonly { readonly spec: JobSpec }[],
): Disposable =>
  holds.hold(jobs.flatMap(({ spec }) => datasetInputs(spec).map(({ from }) => from)));

/** The digest of the tree of a version; undefined where it has been let go of. */
export async function treeOfDataset(db: LedgerDb, from: string): Promise<string | undefined> {
  const row = await datasetRow(db, from);
  return row?.released === 0 ? row.tree : undefined;
}

function datasetRow(
  db: LedgerDb,
  from: string,
): Promise<Pick<DatasetRow, 'tree' | 'released'> | undefined> {
  const parsed = parseDataset(from);
  if (!parsed.ok) throw new GridError('SPEC_INVALID', parsed.message);
  const { vo, name, version = 0 } = parsed.ref;
  return db
    .selectFrom('datasets')
    .select(['tree', 'released'])
    .where('vo', '=', vo)
    .where('name', '=', name)
    .where('version', '=', version)
    .executeTakeFirst();
}

async function resultsOf(
  db: LedgerDb,
  job: JobId,
  to: string,
): Promise<readonly { readonly digest: string; readonly to: string }[]> {
  const rows = await db
    .selectFrom('tasks')
    .innerJoin('attempts', 'attempts.id', 'tasks.attempt_id')
    .select(['tasks.ordinal', 'attempts.outcome', 'attempts.outputs'])
    .where('tasks.job_id', '=', job)
    .orderBy('tasks.ordinal')
    .execute();
  const source = await db
    .selectFrom('jobs')
    .select('spec')
    .where('id', '=', job)
    .executeTakeFirst();
  const spec = JSON.parse(source?.spec ?? '{}') as JobSpec;
  return rows.flatMap(({ ordinal, outcome, outputs }) => {
    const digest = outcome === null ? '' : parseOutcome(outcome, outputs).outputs.digest;
    if (digest === '') return [];
    const below = spec.array === undefined ? to : `${to}/${taskDirectory(spec, ordinal)}`;
    return [{ digest, to: below }];
  });
}
