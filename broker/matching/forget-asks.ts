import { sql, type Transaction } from 'kysely';
import { pause } from '../../service/background.ts';
import type { Book } from '../book.ts';
import type { LedgerSchema } from '../ledger/ledger.ts';
import type { AskClasses } from './ask-classes.ts';

/** Asks that are looked at in one transaction. */
const MOST = 1_000;

/**
 * Takes ask classes out of ledger and memory that no job of the ledger refers to, of whatever age, and no task by itself. What
 * was asked for since this began stays: the job may not be in the ledger yet. What was asked for before is there, because the
 * recorder writes in order. Gives how many went.
 */
export async function forgetAsks(book: Book, signal: AbortSignal): Promise<number> {
  const { asks } = book.table;
  asks.beginPeriod();
  let forgotten = 0;
  for (let last: number | undefined = 0; last !== undefined && !signal.aborted; ) {
    const fromMs = performance.now();
    const afterId: number = last;
    await book.recorder.amend(async (db) => {
      last = await lastOfPage(db, afterId);
      if (last !== undefined) forgotten += await forgetPage(db, asks, [afterId, last]);
    });
    await pause(performance.now() - fromMs, signal);
  }
  return forgotten;
}

type Db = Transaction<LedgerSchema>;

/** The last id of the page that follows; undefined when there is none. */
async function lastOfPage(db: Db, afterId: number): Promise<number | undefined> {
  const rows = await db
    .selectFrom('asks')
    .select('id')
    .where('id', '>', afterId)
    .orderBy('id')
    .limit(MOST)
    .execute();
  return rows.at(-1)?.id;
}

async function forgetPage(
  db: Db,
  asks: AskClasses,
  [after, last]: readonly [number, number],
): Promise<number> {
  const idle = await db
    .selectFrom('asks')
    .select('id')
    .where('id', '>', after)
    .where('id', '<=', last)
    .where(sql<boolean>`not exists (select 1 from jobs where jobs.ask_id = asks.id)`)
    .where(
      sql<boolean>`not exists (select 1 from tasks where tasks.ask_id is not null and tasks.ask_id = asks.id)`,
    )
    .execute();
  // Nothing is awaited between the answer and this: who asks for the same later gets another class.
  const gone = asks.forget(idle.map(({ id }) => id));
  if (gone.length > 0) await db.deleteFrom('asks').where('id', 'in', gone).execute();
  return gone.length;
}
