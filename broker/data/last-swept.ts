import type { LedgerDb } from '../ledger/ledger.ts';

const keyOf = (vo: string): string => `swept:${vo}`;

/** When chunks of a VO were taken out last, by whichever broker had this ledger; 0 where none were. */
export async function lastSwept(db: LedgerDb, vo: string): Promise<number> {
  const row = await db
    .selectFrom('meta')
    .select('value')
    .where('key', '=', keyOf(vo))
    .executeTakeFirst();
  return Number(row?.value ?? 0);
}

/** Chunks of a VO are about to be taken out. */
export async function noteSwept(db: LedgerDb, vo: string, nowMs: number): Promise<void> {
  const value = String(nowMs);
  await db
    .insertInto('meta')
    .values({ key: keyOf(vo), value })
    .onConflict((conflict) => conflict.column('key').doUpdateSet({ value }))
    .execute();
}
