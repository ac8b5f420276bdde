import { randomUUID } from 'node:crypto';
import type { DatabaseSync } from 'node:sqlite';
import { GridError } from '../../core/errors.ts';

/** Each is run once, in order; a change of the schema is a further one, never an edit. */
const MIGRATIONS = [
  `CREATE TABLE meta (key TEXT PRIMARY KEY, value ANY) STRICT, WITHOUT ROWID;
   INSERT INTO meta (key, value) VALUES ('acknowledged', 0);
   CREATE TABLE jobs (id TEXT PRIMARY KEY, placed BLOB NOT NULL) STRICT, WITHOUT ROWID;
   CREATE TABLE attempts (
     id TEXT NOT NULL UNIQUE,
     job_id TEXT NOT NULL REFERENCES jobs (id),
     ordinal INTEGER NOT NULL,
     task_value TEXT NOT NULL,
     state TEXT NOT NULL DEFAULT 'accepted',
     ending TEXT NOT NULL DEFAULT '',
     accepted_at INTEGER NOT NULL,
     started_at INTEGER,
     ended_at INTEGER,
     ended_seq INTEGER,
     outputs BLOB,
     directory_gone INTEGER NOT NULL DEFAULT 0
   ) STRICT;
   CREATE INDEX attempts_live ON attempts (accepted_at) WHERE ended_at IS NULL;
   CREATE INDEX attempts_ended ON attempts (directory_gone, ended_at) WHERE ended_at IS NOT NULL;
   CREATE INDEX attempts_of_job ON attempts (job_id);
   CREATE TABLE outbox (seq INTEGER PRIMARY KEY AUTOINCREMENT, told BLOB NOT NULL) STRICT;
   CREATE TABLE tickets (vo TEXT PRIMARY KEY, ticket BLOB NOT NULL) STRICT, WITHOUT ROWID;`,
  'ALTER TABLE attempts ADD COLUMN memory_bytes INTEGER NOT NULL DEFAULT 0',
  'ALTER TABLE attempts ADD COLUMN live_seq INTEGER',
  "ALTER TABLE attempts ADD COLUMN queue TEXT NOT NULL DEFAULT ''",
];

/**
 * Brings the journal up to date. Sequence numbers of a new outbox begin at the time of its making in microseconds, so
 * that a gateway whose spool was wiped does not use numbers again that its broker has seen. Throws STATE_TOO_NEW where a newer
 * gateway has been at work.
 */
export function migrateJournal(database: DatabaseSync, nowMs: number): void {
  const version = Number(database.prepare('PRAGMA user_version').get()?.['user_version'] ?? 0);
  if (version > MIGRATIONS.length)
    throw new GridError(
      'STATE_TOO_NEW',
      `the journal was written by a newer version of the gateway (${version}, and this one knows ${MIGRATIONS.length})`,
    );
  database.exec('BEGIN EXCLUSIVE');
  for (const sql of MIGRATIONS.slice(version)) database.exec(sql);
  if (version === 0) {
    database.prepare("INSERT INTO meta (key, value) VALUES ('journal', ?)").run(randomUUID());
    database
      .prepare("INSERT INTO sqlite_sequence (name, seq) VALUES ('outbox', ?)")
      .run(Math.floor(nowMs) * 1_000);
  }
  database.exec(`PRAGMA user_version = ${MIGRATIONS.length}`);
  database.exec('COMMIT');
}
