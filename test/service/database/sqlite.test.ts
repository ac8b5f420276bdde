import { mkdtempSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Generated, Kysely, Migration } from 'kysely';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { migrate, openSqlite } from '../../../service/database/sqlite.ts';

interface Schema {
  ship: { id: Generated<number>; name: string; cargo: Uint8Array | null };
}

const FIRST: Migration = {
  up: (db: Kysely<unknown>) =>
    db.schema
      .createTable('ship')
      .addColumn('id', 'integer', (column) => column.primaryKey().autoIncrement())
      .addColumn('name', 'text', (column) => column.notNull().unique())
      .addColumn('cargo', 'blob')
      .execute(),
};

let directory: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'sqlite-'));
});
afterEach(() => rmSync(directory, { recursive: true }));

test('rows survive closing and opening again, and the file is for its owner only', async () => {
  const file = join(directory, 'harbour.db');
  const db = openSqlite<Schema>(file);
  await migrate(db, { '001-first': FIRST });
  const inserted = await db
    .insertInto('ship')
    .values({ name: 'Adler von Lübeck', cargo: new Uint8Array([1, 2]) })
    .executeTakeFirstOrThrow();
  await db.destroy();
  const again = openSqlite<Schema>(file);
  await migrate(again, { '001-first': FIRST });
  const rows = await again.selectFrom('ship').selectAll().execute();
  await again.destroy();
  expect(inserted.insertId).toBe(1n);
  expect(rows).toEqual([{ id: 1, name: 'Adler von Lübeck', cargo: new Uint8Array([1, 2]) }]);
  expect(statSync(file).mode & 0o777).toBe(0o600);
});

test('a transaction that fails leaves nothing behind', async () => {
  const db = openSqlite<Schema>(':memory:');
  await migrate(db, { '001-first': FIRST });
  const insert = db.transaction().execute(async (transaction) => {
    await transaction.insertInto('ship').values({ name: 'Kogge', cargo: null }).execute();
    await transaction.insertInto('ship').values({ name: 'Kogge', cargo: null }).execute();
  });
  await expect(insert).rejects.toThrow(/UNIQUE/);
  expect(await db.selectFrom('ship').selectAll().execute()).toEqual([]);
  await db.destroy();
});

test('a stream of rows and a query with the same text do not disturb each other', async () => {
  const db = openSqlite<Schema>(':memory:');
  await migrate(db, { '001-first': FIRST });
  const names = Array.from({ length: 20 }, (_, n) => ({ name: `ship-${n}`, cargo: null }));
  await db.insertInto('ship').values(names).returning('id').execute();
  const query = db.selectFrom('ship').select('name').orderBy('id');
  const seen: string[] = [];
  for await (const row of query.stream()) seen.push(row.name);
  expect(seen).toEqual((await query.execute()).map((row) => row.name));
  await db.destroy();
});

test('a migration that fails says so', async () => {
  const db = openSqlite<Schema>(':memory:');
  const broken: Migration = { up: () => Promise.reject(new Error('no timber')) };
  await expect(migrate(db, { '001-broken': broken })).rejects.toThrow(
    'the database could not be brought up to date (001-broken): no timber',
  );
  await db.destroy();
});

test('a database of before a migration that sorts among its own is brought up to date', async () => {
  const db = openSqlite<Schema>(':memory:');
  const nothing: Migration = { up: () => Promise.resolve() };
  await migrate(db, { '001-first': FIRST, '002-late': nothing });
  const later = migrate(db, { '001-first': FIRST, '002-early': nothing, '002-late': nothing });
  await expect(later).resolves.toBeUndefined();
  await db.destroy();
});

test('a database of a newer version is refused and left as it is', async () => {
  const db = openSqlite<Schema>(':memory:');
  const nothing: Migration = { up: () => Promise.resolve() };
  await migrate(db, { '001-first': FIRST, '002-second': nothing });
  await expect(migrate(db, { '001-first': FIRST, '001-other': nothing })).rejects.toMatchObject({
    code: 'STATE_TOO_NEW',
    message: expect.stringContaining("'002-second'"),
  });
  await migrate(db, { '001-first': FIRST, '002-second': nothing });
  await db.destroy();
});
