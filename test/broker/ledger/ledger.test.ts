import { copyFileSync, existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Kysely } from 'kysely';
import { afterAll, expect, test } from 'vitest';
import type { LedgerSchema } from '../../../broker/ledger/ledger.ts';
import { MIGRATIONS } from '../../../broker/ledger/migrations.ts';
import type { LedgerPlace } from '../../../broker/ledger/open-ledger.ts';
import { migrate, openSqlite } from '../../../service/database/sqlite.ts';
import { asksContract } from '../../contract/asks.contract.ts';
import { datasetReleaseContract } from '../../contract/dataset-release.contract.ts';
import { historyContract } from '../../contract/history.contract.ts';
import { ledgerContract } from '../../contract/ledger.contract.ts';
import { removedResultsContract } from '../../contract/removed-results.contract.ts';
import { storeRoomContract } from '../../contract/store-room.contract.ts';

const dir = mkdtempSync(join(tmpdir(), 'ledger-'));
afterAll(() => rmSync(dir, { recursive: true }));
let files = 0;
const fresh = (): LedgerPlace & { readonly kind: 'sqlite' } => {
  files += 1;
  return { kind: 'sqlite', file: join(dir, `${files}.db`) };
};

historyContract('SQLite', () => Promise.resolve(fresh()));
asksContract('SQLite', () => Promise.resolve(fresh()));

datasetReleaseContract('SQLite', () => Promise.resolve(fresh()));

removedResultsContract('SQLite', () => Promise.resolve(fresh()));

storeRoomContract('SQLite', () => Promise.resolve(fresh()));

ledgerContract('SQLite', () => {
  return Promise.resolve({
    fresh: () => Promise.resolve(fresh()),
    crashed: (place) => {
      const copy = fresh();
      const from = place.kind === 'sqlite' ? place.file : '';
      for (const end of ['', '-wal'])
        if (existsSync(from + end)) copyFileSync(from + end, copy.file + end);
      return Promise.resolve(copy);
    },
    cutOff: () => Promise.resolve(),
    [Symbol.asyncDispose]: () => Promise.resolve(),
  });
});

test('a ledger of before there were flows is brought up to date', async () => {
  const db = openSqlite<LedgerSchema>(':memory:');
  // The parts beside it were there first.
  const older = Object.entries(MIGRATIONS).filter(([name]) => name < '003' && name !== '002-flow');
  await migrate(db, Object.fromEntries(older));
  await migrate(db, MIGRATIONS);
  expect(await db.selectFrom('flows').selectAll().execute()).toEqual([]);
  await db.destroy();
});

test('an older ledger gets the digests of its outputs into their column', async () => {
  const db = openSqlite<LedgerSchema>(':memory:');
  const older = Object.entries(MIGRATIONS).filter(([name]) => name < '003');
  await migrate(db, Object.fromEntries(older));
  const row = (id: string, outcome: string | null) =>
    ({
      id,
      outcome,
      job_id: 'j',
      ordinal: 0,
      number: 1,
      site: 's',
      state: 'done',
      reason: '',
    }) as const;
  const outcomes = [null, '{"outputs":{"digest":""}}', '{"outputs":{"digest":"abc"}}'];
  for (const [index, outcome] of outcomes.entries())
    await (db as unknown as Kysely<{ attempts: object }>)
      .insertInto('attempts')
      .values({ ...row(String(index), outcome), detail: '', placed_ms: 1 })
      .execute();
  await migrate(db, MIGRATIONS);
  const rows = await db.selectFrom('attempts').select('outputs').orderBy('id').execute();
  expect(rows.map(({ outputs }) => outputs)).toEqual(['', '', 'abc']);
  await db.destroy();
});
