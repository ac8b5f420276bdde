import { sql } from 'kysely';
import type { TreeRef } from '../../core/data/manifest.ts';
import {
  addTree,
  emptyTally,
  openScales,
  type Tally,
  type TreeWeight,
  weightOf,
} from '../../core/data/room.ts';
import { GridError } from '../../core/errors.ts';
import { openBreath } from '../../service/background.ts';
import type { ChunkStore } from '../../service/staging/chunk-store.ts';
import { manifestParts } from '../../service/staging/read-tree.ts';
import type { Book } from '../book.ts';
import { readTrees } from '../jobs/job-store.ts';
import type { JobRow, LedgerDb } from '../ledger/ledger.ts';

/** Whose trees: those of one owner in a VO, or with '' those of all. */
export interface Scope {
  readonly vo: string;
  readonly owner: string;
}

/** Counts what the ledger keeps alive in the stores. */
export interface TreeCounter {
  /** Distinct bytes of the trees that are named for a scope now. */
  count(scope: Scope): Promise<Tally>;
  /** DNs of those in a VO whose trees take most, as far as can be told without looking for chunks that they share; `most` of them. */
  owners(vo: string, most: number): Promise<readonly string[]>;
  /** What one tree takes, by its own manifest and not by what its sender says. */
  weight(vo: string, tree: TreeRef): Promise<TreeWeight>;
}

const noStore = (): Promise<never> =>
  Promise.reject(new GridError('STAGING_UNAVAILABLE', 'this broker has no staging service'));

/** For a broker without a staging service: only small manifests, which are in the ledger, can be read. */
export const NO_STORE: ChunkStore = {
  missing: noStore,
  put: noStore,
  receive: noStore,
  get: noStore,
};

const NOTHING: TreeWeight = weightOf([]);
/** Trees whose chunks are remembered, so that counting again reads no manifest twice. */
const KEPT = 200_000;
const AT_ONCE = 32;
const READ_AT_ONCE = 1_000;
/** Of a tree that is not what it says no chunk is kept. */
const GONE: readonly string[] = ['CHUNK_MISSING', 'CHUNK_CORRUPT', 'MANIFEST_INVALID'];

export function openTreeCounter(book: Book, storeOf: (vo: string) => ChunkStore): TreeCounter {
  const kept = new Map<string, TreeWeight>();
  const weight = async (vo: string, tree: TreeRef): Promise<TreeWeight> => {
    if (tree.digest === '') return NOTHING;
    const known = kept.get(tree.digest);
    if (known !== undefined) return known;
    try {
      const found = await weigh(storeOf(vo), tree);
      if (kept.size >= KEPT) kept.clear();
      kept.set(tree.digest, found);
      return found;
    } catch (error) {
      if (!(error instanceof GridError)) throw error;
      if (GONE.includes(error.code)) return NOTHING;
      // While the store is away nobody is kept from work; what was said of the tree must do.
      return weightOf([[tree.digest, tree.totalBytes]]);
    }
  };
  return {
    weight,
    owners: async (vo, most) => {
      await book.recorder.settled();
      return largestOwners(book, vo, most);
    },
    count: async (scope) => {
      await book.recorder.settled();
      const digests = await namedTrees(book, scope);
      const tally = emptyTally();
      const breathe = openBreath();
      for (let at = 0; at < digests.length; at += READ_AT_ONCE) {
        const some = digests.slice(at, at + READ_AT_ONCE);
        const unread = some.filter((digest) => !kept.has(digest));
        for (const digest of some) addTree(tally, kept.get(digest) ?? NOTHING);
        await breathe();
        const rest = [...(await readTrees(book.db, unread)).values()];
        for (let from = 0; from < rest.length; from += AT_ONCE) {
          const weighing = rest.slice(from, from + AT_ONCE).map((tree) => weight(scope.vo, tree));
          for (const one of await Promise.all(weighing)) addTree(tally, one);
          await breathe();
        }
      }
      return tally;
    },
  };
}

async function weigh(store: ChunkStore, tree: TreeRef): Promise<TreeWeight> {
  const scales = openScales();
  for await (const part of manifestParts(store, tree)) scales.add(part);
  return scales.weight();
}

/**
 * Trees of datasets that have their name, of what tasks have made so far, of what jobs brought and of what they made: a task that
 * ends meanwhile is found with the one or the other. Jobs and attempts, of which there may be millions, are read in pages.
 */
async function namedTrees({ db, clock }: Book, { vo, owner }: Scope): Promise<readonly string[]> {
  const nowMs = clock.nowMs();
  const datasets = await db
    .selectFrom('datasets')
    .select('tree as digest')
    .distinct()
    .where('vo', '=', vo)
    .$if(owner !== '', (query) => query.where('owner', '=', owner))
    .where('removed_ms', 'is', null)
    .where((where) => where.or([where('expires_ms', 'is', null), where('expires_ms', '>', nowMs)]))
    .execute();
  const live = await db
    .selectFrom('tasks')
    .innerJoin('jobs', 'jobs.id', 'tasks.job_id')
    .select('tasks.live_tree as digest')
    .distinct()
    .where('jobs.vo', '=', vo)
    .$if(owner !== '', (query) => query.where('jobs.owner', '=', owner))
    .where('tasks.live_tree', '<>', '')
    .execute();
  const named = new Set([...datasets, ...live].map(({ digest }) => digest));
  const breathe = openBreath();
  for await (const jobs of jobsOf(db, { vo, owner })) {
    for (const { inputs } of jobs) named.add(inputs);
    for (const part of tasksOf(jobs)) {
      for (const { outputs } of await outputsOf(db, part)) named.add(outputs);
      await breathe();
    }
  }
  named.delete('');
  return [...named];
}

type CountedJob = Pick<JobRow, 'id' | 'inputs' | 'tasks'>;

async function* jobsOf(
  db: LedgerDb,
  { vo, owner }: Scope,
): AsyncGenerator<readonly CountedJob[], void, undefined> {
  for (let last = -1; ; ) {
    const rows = await db
      .selectFrom('jobs')
      .select(['id', 'seq', 'vo', 'inputs', 'tasks'])
      .where(owner === '' ? 'vo' : 'owner', '=', owner === '' ? vo : owner)
      .where('seq', '>', last)
      .orderBy('seq')
      .limit(READ_AT_ONCE)
      .execute();
    // There is an index for each of the two, and none for both: who has few jobs in a large VO should not search all of it.
    yield rows.filter((row) => row.vo === vo);
    if (rows.length < READ_AT_ONCE) return;
    last = rows.at(-1)?.seq ?? last;
  }
}

/** All tasks of several jobs, or of one those from an ordinal on. */
interface TaskPart {
  readonly jobs: readonly string[];
  readonly from: number;
}

/** All tasks of some jobs, so many at a time as can be read at once. */
function* tasksOf(jobs: readonly CountedJob[]): Generator<TaskPart, void, undefined> {
  let [some, count]: [string[], number] = [[], 0];
  for (const { id, tasks } of jobs) {
    if (tasks > READ_AT_ONCE) {
      for (let from = 0; from < tasks; from += READ_AT_ONCE) yield { jobs: [id], from };
      continue;
    }
    if (count + tasks > READ_AT_ONCE) {
      yield { jobs: some, from: 0 };
      [some, count] = [[], 0];
    }
    some.push(id);
    count += tasks;
  }
  if (some.length > 0) yield { jobs: some, from: 0 };
}

const outputsOf = (db: LedgerDb, { jobs, from }: TaskPart) =>
  db
    .selectFrom('attempts')
    .select('outputs')
    .where('job_id', 'in', jobs)
    .where('ordinal', '>=', from)
    .where('ordinal', '<', from + READ_AT_ONCE)
    .where('outputs', '<>', '')
    .execute();

async function largestOwners(
  { db, clock }: Book,
  vo: string,
  most: number,
): Promise<readonly string[]> {
  const { rows } = await sql<{ readonly owner: string }>`
    select kept.owner from (
      select owner, tree as digest from datasets
        where vo = ${vo} and removed_ms is null
        and (expires_ms is null or expires_ms > ${clock.nowMs()})
      union select owner, inputs from jobs where vo = ${vo} and inputs <> ''
      union select jobs.owner, attempts.outputs
        from attempts join jobs on jobs.id = attempts.job_id
        where jobs.vo = ${vo} and attempts.outputs <> ''
      union select jobs.owner, tasks.live_tree
        from tasks join jobs on jobs.id = tasks.job_id
        where jobs.vo = ${vo} and tasks.live_tree <> ''
    ) as kept
    join trees on trees.digest = kept.digest
    group by kept.owner
    order by sum(trees.total_bytes) desc, kept.owner
    limit ${most}`.execute(db);
  return rows.map(({ owner }) => owner);
}
