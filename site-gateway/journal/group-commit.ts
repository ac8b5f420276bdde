import type { DatabaseSync } from 'node:sqlite';
import { GridError } from '../../core/errors.ts';
import type { Log } from '../../service/log.ts';

/** Many small changes, few commits: a commit waits for the disk, and hundreds a second would be all that is done. */
export interface GroupCommit {
  /** Resolves once the change is on the disk, rejects where it could not be written. */
  write(change: () => void): Promise<void>;
  /** For what has happened already: kept and tried again until it is on the disk. */
  insist(change: () => void): Promise<void>;
  /**
   * Commits what waits, and nothing from then on: what the disk does not take now is not told of any more, and a later change
   * rejects with INTERRUPTED.
   */
  close(): void;
}

interface Entry {
  readonly change: () => void;
  readonly insist: boolean;
  readonly resolve: () => void;
  readonly reject: (error: unknown) => void;
}

export interface GroupCommitOptions {
  readonly database: DatabaseSync;
  readonly log: Log;
  /** After each commit. */
  readonly onCommit: () => void;
  /** When the disk does not take a change: undefined once it does again. */
  readonly onTrouble: (error: Error | undefined) => void;
}

/** The first change goes at once, those of the next few milliseconds together. */
const GROUP_MS = 8;
/** A commit holds the whole process up while it waits for the disk: at most a fifth of the time is spent on that. */
const PAUSE_PER_COMMIT = 4;
const MAX_PAUSE_MS = 100;
const RETRY_MS = 1_000;
/** SQLITE_PERM, BUSY, LOCKED, READONLY, IOERR, FULL, CANTOPEN: the storage's fault, which may pass. */
const STORAGE_CODES: ReadonlySet<number> = new Set([3, 5, 6, 8, 10, 13, 14]);

export function openGroupCommit(options: GroupCommitOptions): GroupCommit {
  let waiting: Entry[] = [];
  let timer: NodeJS.Timeout | undefined;
  let nextMs = 0;
  let troubled = false;
  let closed = false;

  const flush = (): void => {
    clearTimeout(timer);
    timer = undefined;
    const batch = waiting;
    if (batch.length === 0) return;
    const begunMs = performance.now();
    const { kept, error } = commit(options.database, batch);
    waiting = [...kept];
    const endedMs = performance.now();
    const pauseMs = Math.min(MAX_PAUSE_MS, (endedMs - begunMs) * PAUSE_PER_COMMIT);
    nextMs = endedMs + Math.max(GROUP_MS, pauseMs);
    if (error !== undefined) options.log.error({ err: error }, 'the journal could not be written');
    if (error !== undefined || (troubled && kept.length === 0)) options.onTrouble(error);
    troubled = error !== undefined || kept.length > 0;
    if (kept.length > 0 && !closed) schedule(RETRY_MS);
    options.onCommit();
  };
  const schedule = (delayMs: number): void => {
    timer ??= setTimeout(flush, delayMs);
  };
  const add = (change: () => void, insist: boolean): Promise<void> =>
    new Promise((resolve, reject) => {
      if (closed) throw new GridError('INTERRUPTED', 'the journal is closed');
      waiting.push({ change, insist, resolve, reject });
      schedule(Math.max(0, nextMs - performance.now()));
    });
  return {
    write: (change) => add(change, false),
    insist: (change) => add(change, true),
    close: () => {
      closed = true;
      flush();
    },
  };
}

/** What came of a batch: what is to be tried again, and the storage's fault if there was one. */
interface Committed {
  readonly kept: readonly Entry[];
  readonly error: Error | undefined;
}

function commit(database: DatabaseSync, batch: readonly Entry[]): Committed {
  try {
    inTransaction(database, () => {
      for (const { change } of batch) change();
    });
    for (const { resolve } of batch) resolve();
    return { kept: [], error: undefined };
  } catch {
    return commitOneByOne(database, batch);
  }
}

/** Finds out which of the changes cannot be written. */
function commitOneByOne(database: DatabaseSync, batch: readonly Entry[]): Committed {
  const kept: Entry[] = [];
  let fault: Error | undefined;
  for (const entry of batch) {
    try {
      inTransaction(database, entry.change);
      entry.resolve();
    } catch (error) {
      if (isStorageError(error)) fault = error;
      if (entry.insist && isStorageError(error)) kept.push(entry);
      else entry.reject(error);
    }
  }
  return { kept, error: fault };
}

function inTransaction(database: DatabaseSync, work: () => void): void {
  database.exec('BEGIN IMMEDIATE');
  try {
    work();
    database.exec('COMMIT');
  } catch (error) {
    if (database.isTransaction) database.exec('ROLLBACK');
    throw error;
  }
}

/** Whether SQLite failed because of the disk and not because of what it was told. */
function isStorageError(error: unknown): error is Error {
  const code = error instanceof Error && 'errcode' in error ? Number(error.errcode) : 0;
  return STORAGE_CODES.has(code & 0xff);
}
