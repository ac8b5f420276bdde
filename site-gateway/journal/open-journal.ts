import { closeSync, openSync } from 'node:fs';
import { DatabaseSync } from 'node:sqlite';
import { GridError } from '../../core/errors.ts';
import type { Log } from '../../service/log.ts';
import { openGroupCommit } from './group-commit.ts';
import type { Journal } from './journal.ts';
import { migrateJournal } from './journal-schema.ts';
import { attemptsIn, outboxIn, settingsIn } from './journal-tables.ts';

export interface JournalOptions {
  readonly file: string;
  readonly nowMs: number;
  readonly log: Log;
  readonly onTrouble: (error: Error | undefined) => void;
}

/** Opens or makes the journal (mode 0600); throws CONFIG_INVALID when another gateway has it open. */
export function openJournal(options: JournalOptions): Journal {
  closeSync(openSync(options.file, 'a', 0o600));
  const database = new DatabaseSync(options.file, { timeout: 2_000 });
  try {
    // Exclusive: a second gateway on one spool would start every task again. The lock goes with the process.
    database.exec('PRAGMA locking_mode = EXCLUSIVE');
    database.exec('PRAGMA journal_mode = WAL');
    database.exec('PRAGMA synchronous = FULL');
    migrateJournal(database, options.nowMs);
  } catch (error) {
    database.close();
    if (error instanceof Error && error.message.includes('locked'))
      throw new GridError('CONFIG_INVALID', `another gateway uses ${options.file}`, {
        cause: error,
      });
    throw error;
  }
  const waiters = new Set<() => void>();
  const commits = openGroupCommit({
    database,
    log: options.log,
    onTrouble: options.onTrouble,
    onCommit: () => {
      for (const wake of waiters) wake();
    },
  });
  const nextCommit = (signal: AbortSignal): Promise<void> =>
    new Promise((resolve) => {
      const wake = (): void => {
        waiters.delete(wake);
        signal.removeEventListener('abort', wake);
        resolve();
      };
      waiters.add(wake);
      if (signal.aborted) wake();
      else signal.addEventListener('abort', wake, { once: true });
    });
  return {
    ...attemptsIn(database, commits),
    ...outboxIn(database, commits),
    ...settingsIn(database, commits),
    nextCommit,
    [Symbol.dispose]: () => {
      commits.close();
      database.close();
    },
  };
}
