import { GridError } from '../../core/errors.ts';
import {
  openPostgres,
  type PostgresLock,
  type PostgresPlace,
  takeLock,
} from '../../service/database/postgres.ts';
import { migrate, openSqlite } from '../../service/database/sqlite.ts';
import type { Log } from '../../service/log.ts';
import type { LedgerDb, LedgerSchema } from './ledger.ts';
import { ledgerFailure } from './ledger-failure.ts';
import { MIGRATIONS } from './migrations.ts';

/** Where the ledger lies. */
export type LedgerPlace =
  | { readonly kind: 'sqlite'; readonly file: string }
  | ({ readonly kind: 'postgres' } & PostgresPlace);

/** An open ledger. `epoch` is higher than that of any broker that had it open before. */
export interface Ledger extends AsyncDisposable {
  readonly db: LedgerDb;
  readonly epoch: number;
}

interface LedgerOptions {
  readonly log: Log;
  /** Another broker may lead now. */
  readonly onLost: (error: unknown) => void;
  /** Ends the wait for the broker that leads now. */
  readonly signal?: AbortSignal | undefined;
}

/** Names the lock of the broker that leads: `hanse`. */
const LEADER = 0x68616e7365;

/**
 * Opens (or makes) the ledger, brings its schema up to date and takes the next epoch; whoever had it before can write
 * no more. On PostgreSQL a broker that finds another one at work waits until that one has gone.
 */
export async function openLedger(place: LedgerPlace, options: LedgerOptions): Promise<Ledger> {
  await using stack = new AsyncDisposableStack();
  try {
    if (place.kind === 'postgres') {
      const lock = stack.use(await lead(place, options));
      lock.lost.catch((cause: unknown) => options.onLost(deposed(cause)));
    }
    const db =
      place.kind === 'sqlite'
        ? openSqlite<LedgerSchema>(place.file)
        : openPostgres<LedgerSchema>(place, options.log);
    stack.defer(() => db.destroy());
    await migrate(db, MIGRATIONS);
    const epoch = await nextEpoch(db);
    const owned = stack.move();
    return { db, epoch, [Symbol.asyncDispose]: () => owned.disposeAsync() };
  } catch (error) {
    options.signal?.throwIfAborted();
    throw ledgerFailure(`cannot open the ledger ${nameOf(place)}`, error);
  }
}

const deposed = (cause: unknown): GridError =>
  new GridError('STALE_EPOCH', 'the ledger was lost: another broker may lead now', { cause });

const nameOf = (place: LedgerPlace): string => (place.kind === 'sqlite' ? place.file : place.url);

async function lead(place: PostgresPlace, { log, signal }: LedgerOptions): Promise<PostgresLock> {
  const onWait = (): void => log.info('another broker leads: this one waits to take over');
  return takeLock(place, LEADER, onWait, signal);
}

const nextEpoch = (db: LedgerDb): Promise<number> =>
  db.transaction().execute(async (transaction) => {
    const row = await transaction
      .selectFrom('meta')
      .select('value')
      .where('key', '=', 'epoch')
      .executeTakeFirst();
    const next = Number(row?.value ?? 0) + 1;
    await transaction
      .insertInto('meta')
      .values({ key: 'epoch', value: String(next) })
      .onConflict((conflict) => conflict.column('key').doUpdateSet({ value: String(next) }))
      .execute();
    return next;
  });
