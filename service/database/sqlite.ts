import { closeSync, openSync } from 'node:fs';
import { DatabaseSync, type SQLInputValue, type StatementSync } from 'node:sqlite';
import { Kysely, type Migration, Migrator, SqliteDialect } from 'kysely';
import { GridError } from '../../core/errors.ts';

/** What Kysely's SQLite dialect wants of a prepared statement (the shape of better-sqlite3). */
interface Statement {
  readonly reader: boolean;
  all(parameters: readonly SQLInputValue[]): unknown[];
  run(parameters: readonly SQLInputValue[]): {
    changes: number | bigint;
    lastInsertRowid: number | bigint;
  };
  iterate(parameters: readonly SQLInputValue[]): IterableIterator<unknown>;
}

/** Prepared statements are kept by their text, because Kysely prepares anew for each query. */
const KEPT_STATEMENTS = 256;

/**
 * Opens (or makes, mode 0600) a SQLite database behind Kysely. A commit is on the disk before its promise resolves
 * (WAL, synchronous=FULL). Integers come back as numbers, BLOBs as Uint8Array; booleans and undefined cannot be
 * bound. `:memory:` is a database that ends with its connection.
 */
export function openSqlite<Schema>(file: string): Kysely<Schema> {
  if (file !== ':memory:') closeSync(openSync(file, 'a', 0o600));
  const database = new DatabaseSync(file, { timeout: 5_000, enableForeignKeyConstraints: true });
  database.exec('PRAGMA journal_mode = WAL');
  database.exec('PRAGMA synchronous = FULL');
  database.exec('PRAGMA cache_size = -65536');
  const kept = new Map<string, Statement>();
  const prepare = (sql: string): Statement => {
    const statement = kept.get(sql) ?? adapt(database, sql);
    kept.delete(sql);
    kept.set(sql, statement);
    const oldest = kept.size > KEPT_STATEMENTS ? kept.keys().next().value : undefined;
    if (oldest !== undefined) kept.delete(oldest);
    return statement;
  };
  const close = (): void => {
    kept.clear();
    database.close();
  };
  return new Kysely<Schema>({ dialect: new SqliteDialect({ database: { prepare, close } }) });
}

function adapt(database: DatabaseSync, sql: string): Statement {
  const statement: StatementSync = database.prepare(sql);
  return {
    reader: statement.columns().length > 0,
    all: (parameters) => statement.all(...parameters),
    // On a full disk SQLite rolls back by itself; a second time is an error, which would hide the first.
    run: (parameters) =>
      sql === 'rollback' && !database.isTransaction
        ? { changes: 0, lastInsertRowid: 0 }
        : statement.run(...parameters),
    // A statement of its own: the kept one may be asked again before this one has been read to the end.
    iterate: (parameters) => database.prepare(sql).iterate(...parameters),
  };
}

/**
 * Brings the schema up to date. Migrations run once each, in the order of their names (`001-first`); one that was named later
 * than its neighbours runs late, so it must not need them. Throws STATE_TOO_NEW where a newer version has been at work.
 */
export async function migrate<Schema>(
  db: Kysely<Schema>,
  migrations: Readonly<Record<string, Migration>>,
): Promise<void> {
  const provider = { getMigrations: () => Promise.resolve({ ...migrations }) };
  const migrator = new Migrator({ db, provider, allowUnorderedMigrations: true });
  const { error, results } = await migrator.migrateToLatest();
  if (error === undefined) return;
  const [, unknown] = /previously executed migration (\S+) is missing/.exec(wordsOf(error)) ?? [];
  if (unknown !== undefined)
    throw new GridError(
      'STATE_TOO_NEW',
      `the database was written by a newer version, and this one does not know its part '${unknown}'`,
      { cause: error },
    );
  const failed = results?.find(({ status }) => status === 'Error')?.migrationName;
  const part = failed === undefined ? '' : ` (${failed})`;
  throw new Error(`the database could not be brought up to date${part}: ${wordsOf(error)}`, {
    cause: error,
  });
}

const wordsOf = (error: unknown): string =>
  error instanceof Error ? error.message : String(error);
