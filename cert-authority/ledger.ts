import type { Kysely, Transaction } from 'kysely';
import type { Clock } from '../service/clock.ts';
import { migrate, openSqlite } from '../service/database/sqlite.ts';
import type { Log } from '../service/log.ts';
import { type LedgerSchema, MIGRATIONS } from './schema.ts';

export type LedgerTransaction = Transaction<LedgerSchema>;

/** Who did what to whom. */
interface AuditEntry {
  /** DN, or what acted instead of a person: `token <jti>`, `authority`, `offline`. */
  readonly actor: string;
  readonly action:
    | 'issue'
    | 'revoke'
    | 'create-token'
    | 'create-vo'
    | 'add-member'
    | 'remove-member';
  /** DN, serial or VO that it was done to. */
  readonly subject: string;
  readonly detail: Readonly<Record<string, unknown>>;
}

/** The authority's records. */
export interface Ledger extends AsyncDisposable {
  readonly db: Kysely<LedgerSchema>;
  /** All of `work` and its audit row, or nothing; the audit line is logged once both are on the disk. */
  change<T>(entry: AuditEntry, work: (db: LedgerTransaction) => Promise<T>): Promise<T>;
}

/** Opens (or makes) the ledger and brings its schema up to date. */
export async function openLedger(options: {
  readonly file: string;
  readonly clock: Clock;
  readonly log: Log;
}): Promise<Ledger> {
  const { clock, log } = options;
  const db = openSqlite<LedgerSchema>(options.file);
  await migrate(db, MIGRATIONS);
  const change: Ledger['change'] = async (entry, work) => {
    const { detail, ...row } = entry;
    const result = await db.transaction().execute(async (transaction) => {
      // First of all the write: the transaction then waits for other writers instead of failing half-way.
      await transaction
        .insertInto('audit')
        .values({ ...row, at_ms: clock.nowMs(), detail: JSON.stringify(detail) })
        .execute();
      return work(transaction);
    });
    log.info({ audit: entry }, `audit: ${entry.action}`);
    return result;
  };
  return { db, change, [Symbol.asyncDispose]: () => db.destroy() };
}
