import { type CompiledQuery, type Kysely, type Transaction } from 'kysely';
import { GridError } from '../../core/errors.ts';
import { background } from '../../service/background.ts';
import type { Log } from '../../service/log.ts';
import type { LedgerDb, LedgerSchema } from './ledger.ts';
import { ledgerFailure } from './ledger-failure.ts';
import type { Ledger } from './open-ledger.ts';

/** Rows to write, all or none. */
export type Change = { readonly [T in Table]?: readonly LedgerSchema[T][] };

/** The only writer of the ledger. */
export interface Recorder {
  /** Resolves when the change is on the disk. Changes are committed in the order of the calls, many at a time. */
  record(change: Change): Promise<void>;
  /**
   * Lets `work` change the ledger behind all that was recorded so far, in a transaction of its own; it shall be short, for
   * all others wait. Where it fails nothing of it is kept, and the recorder goes on.
   */
  amend(work: Work): Promise<void>;
  /** Resolves when all that was recorded so far is on the disk. */
  settled(): Promise<void>;
}

type Table = Exclude<keyof LedgerSchema, 'meta' | 'history' | 'removed_results' | 'condemned'>;
type Work = (db: Transaction<LedgerSchema>) => Promise<void>;
type Row = Readonly<Record<string, unknown>>;

interface Rule {
  readonly key: readonly string[];
  /** What happens to a row whose key is there already: nothing at all may be; it stays, unless it lacks the manifest that the new one has; these columns are replaced. */
  readonly again: 'refuse' | 'fill' | readonly string[];
}

const columns = (names: string): readonly string[] => names.split(' ');

/** In the order in which they are written. */
const RULES: Readonly<Record<Table, Rule>> = {
  asks: { key: ['id'], again: 'refuse' },
  trees: { key: ['digest'], again: 'fill' },
  flows: { key: ['id'], again: 'refuse' },
  submits: { key: ['owner', 'submit_key'], again: 'refuse' },
  jobs: { key: ['id'], again: 'refuse' },
  job_state: {
    key: ['job_id'],
    again: columns(
      'state reason detail next_ordinal counts sites hold cancel_reason ended_ms waits_for',
    ),
  },
  tasks: {
    key: ['job_id', 'ordinal'],
    again: columns(
      'state reason detail attempt_id attempts job_failures site_failures data_failures releases avoid not_before_ms ask_id ended_ms live live_tree',
    ),
  },
  attempts: {
    key: ['id'],
    again: columns('state reason detail started_ms ended_ms outcome outputs'),
  },
  events: { key: ['seq'], again: 'refuse' },
  sites: { key: ['id'], again: ['address', 'dn', 'wanted', 'conduct'] },
  cursors: { key: ['site'], again: ['journal', 'seq'] },
  usage: { key: ['vo', 'group_path', 'owner'], again: ['amount', 'at_ms'] },
  shares: { key: ['node'], again: columns('weight running_cpus queued_tasks') },
  datasets: { key: ['vo', 'name', 'version'], again: ['shared', 'expires_ms', 'removed_ms'] },
  secrets: { key: ['job_id'], again: ['sealed'] },
  store_quotas: { key: ['vo', 'owner'], again: ['max_bytes'] },
};
const TABLES = Object.keys(RULES) as readonly Table[];
const NO_ROWS: readonly Row[] = [];

/** What waits for the next commit: rows by table and key, so that a row that changed twice is written once. */
interface Batch {
  readonly rows: Map<Table, Map<string, Row>>;
  /** Done one after the other when the rows are on the disk. */
  readonly works: { readonly work: Work; readonly done: PromiseWithResolvers<void> }[];
  readonly done: PromiseWithResolvers<void>;
}

/**
 * Rows in one statement. Few sizes, so that few texts are made and those are kept prepared; SQLite takes 32,766
 * parameters in a statement, PostgreSQL 65,535.
 */
const SIZES = [256, 32, 4, 1] as const;

/** Statements after which others have their turn: a large change takes seconds, and leases have to be renewed. */
const TURN_STATEMENTS = 16;

const MAX_GAP_MS = 10;

/**
 * Opens the writer. When a commit fails the memory of the broker is ahead of its ledger: every waiting call is
 * refused, nothing is written any more, and `onFailure` shall stop the broker, which reads the ledger again.
 */
export function openRecorder(
  ledger: Pick<Ledger, 'db' | 'epoch'>,
  log: Log,
  onFailure: (error: unknown) => void,
): Recorder {
  let next = emptyBatch();
  let running: Batch | undefined;
  let failure: Error | undefined;
  const statements = keepStatements(ledger.db);

  // The disk is waited for in this thread. Under load commits are spaced so that they take half of it at most, and
  // each of them carries more; a commit after a quiet moment goes at once.
  let lastMs = 0;
  let lastAtMs = 0;
  const commitAll = async (): Promise<void> => {
    while (!isEmpty(next)) {
      const leftMs = lastAtMs + Math.min(lastMs, MAX_GAP_MS) - performance.now();
      await new Promise((resolve) => {
        if (leftMs > 1) setTimeout(resolve, leftMs);
        else setImmediate(resolve);
      });
      const batch = next;
      next = emptyBatch();
      running = batch;
      const fromMs = performance.now();
      if (batch.rows.size > 0) await commitOne(ledger, (db) => write(db, batch, statements));
      for (const { work, done } of batch.works)
        await commitOne(ledger, work).then(done.resolve, done.reject);
      lastAtMs = performance.now();
      lastMs = lastAtMs - fromMs;
      batch.done.resolve();
    }
    running = undefined;
  };
  const fail = (cause: unknown): void => {
    failure = ledgerFailure('the ledger cannot be written', cause);
    if (running !== undefined) refuse(running, failure);
    refuse(next, failure);
    onFailure(failure);
  };

  /** Puts something into the next batch; `add` says whether there was anything. */
  const enter = (add: (batch: Batch) => boolean): Promise<void> => {
    if (failure !== undefined) return Promise.reject(failure);
    const idle = running === undefined && isEmpty(next);
    const { promise } = next.done;
    if (!add(next)) return settled();
    if (idle) background('write the ledger', commitAll(), log, fail);
    return promise;
  };
  const settled = (): Promise<void> => {
    if (failure !== undefined) return Promise.reject(failure);
    if (!isEmpty(next)) return next.done.promise;
    return running?.done.promise ?? Promise.resolve();
  };
  return {
    record: (change) => enter((batch) => addRows(batch, change)),
    amend: async (work) => {
      const done = Promise.withResolvers<void>();
      await Promise.all([done.promise, enter(({ works }) => works.push({ work, done }) > 0)]);
    },
    settled,
  };
}

function emptyBatch(): Batch {
  const done = Promise.withResolvers<void>();
  done.promise.catch(() => undefined);
  return { rows: new Map(), works: [], done };
}

const isEmpty = ({ rows, works }: Batch): boolean => rows.size === 0 && works.length === 0;

function refuse({ works, done }: Batch, failure: Error): void {
  for (const work of works) work.done.reject(failure);
  done.reject(failure);
}

const commitOne = ({ db, epoch }: Pick<Ledger, 'db' | 'epoch'>, work: Work): Promise<void> =>
  db.transaction().execute(async (transaction) => {
    await fence(transaction, epoch);
    await work(transaction);
  });

/** Whether there was anything to add. */
function addRows(batch: Batch, change: Change): boolean {
  let added = false;
  for (const table of TABLES) {
    const fresh = (change[table] ?? NO_ROWS) as readonly unknown[] as readonly Row[];
    if (fresh.length === 0) continue;
    added = true;
    const rows = batch.rows.get(table) ?? new Map<string, Row>();
    batch.rows.set(table, rows);
    const { key, again } = RULES[table];
    for (const row of fresh) {
      const id = keyOf(row, key);
      if (again !== 'fill' || row['manifest'] !== null || !rows.has(id)) rows.set(id, row);
    }
  }
  return added;
}

const keyOf = (row: Row, key: readonly string[]): string => {
  const [first = '', ...others] = key;
  return others.reduce((text, column) => `${text}\0${String(row[column])}`, String(row[first]));
};

/** Whoever has opened the ledger since has taken it over; nobody can while this transaction lasts. */
async function fence(db: Transaction<LedgerSchema>, epoch: number): Promise<void> {
  const value = String(epoch);
  const { numUpdatedRows } = await db
    .updateTable('meta')
    .set({ value })
    .where('key', '=', 'epoch')
    .where('value', '=', value)
    .executeTakeFirstOrThrow();
  if (numUpdatedRows !== 1n)
    throw new GridError('STALE_EPOCH', `another broker has taken over from epoch ${epoch}`);
}

async function write(
  db: Transaction<LedgerSchema>,
  batch: Batch,
  statements: Statements,
): Promise<void> {
  let written = 0;
  for (const table of TABLES) {
    const rows = [...(batch.rows.get(table)?.values() ?? [])];
    let start = 0;
    for (const size of SIZES) {
      for (; rows.length - start >= size; start += size) {
        await db.executeQuery(statements(table, rows.slice(start, start + size)));
        written += 1;
        if (written % TURN_STATEMENTS === 0) await new Promise(setImmediate);
      }
    }
  }
}

/** The insertion of these rows. */
type Statements = (table: Table, rows: readonly Row[]) => CompiledQuery;

/** Making a statement costs more than running it: one is made for each table and number of rows. */
function keepStatements(db: LedgerDb): Statements {
  const kept = new Map<
    string,
    { readonly columns: readonly string[]; readonly query: CompiledQuery }
  >();
  return (table, rows) => {
    const name = `${table} ${rows.length}`;
    const known = kept.get(name) ?? {
      columns: Object.keys(rows[0] ?? {}),
      query: compileInsert(db, table, rows),
    };
    kept.set(name, known);
    const parameters = rows.flatMap((row) => known.columns.map((column) => row[column]));
    return { ...known.query, parameters };
  };
}

function compileInsert(db: LedgerDb, table: Table, rows: readonly Row[]): CompiledQuery {
  const { key, again } = RULES[table];
  // One query for every table: that rows and columns belong to it is `Change`'s and RULES' business.
  const query = (db as unknown as Kysely<Record<string, Row>>).insertInto(table).values(rows);
  if (again === 'refuse') return query.compile();
  return query
    .onConflict((conflict) => {
      const clash = conflict.columns([...key]);
      const replaced = again === 'fill' ? ['total_bytes', 'files', 'manifest'] : again;
      const update = clash.doUpdateSet((expressions) =>
        Object.fromEntries(
          replaced.map((column) => [column, expressions.ref(`excluded.${column}`)]),
        ),
      );
      if (again !== 'fill') return update;
      return update
        .where(`${table}.manifest`, 'is', null)
        .where('excluded.manifest', 'is not', null);
    })
    .compile();
}
