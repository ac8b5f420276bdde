import { spawn } from 'node:child_process';
import { closeSync, openSync, readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { type ErrorCode, GridError } from '../core/errors.ts';
import { accountName } from './account-name.ts';
import { ensureDirectory } from './directories.ts';
import { errnoOf } from './staging/file-errors.ts';

const PATIENCE_MS = 30_000;

/**
 * Makes the directory in which a service keeps what it knows, where it is not there, and tries whether the service can
 * work in it. Throws CONFIG_INVALID or DISK_FULL with the setting, the path, what is wrong and what to do; also where the
 * directory does not answer.
 */
export async function openStateDirectory(
  setting: string,
  path: string,
  patienceMs: number = PATIENCE_MS,
): Promise<void> {
  if (!(await answers(path, patienceMs)))
    throw unusable(
      setting,
      path,
      `it does not answer within ${patienceMs / 1_000} s: if it is on a network file system, see whether its server is there, or name another directory`,
    );
  try {
    ensureDirectory(path, 0o700);
    readdirSync(path);
    const probe = join(path, `.probe-${process.pid}`);
    closeSync(openSync(probe, 'w', 0o600));
    rmSync(probe);
  } catch (error) {
    throw stateFailure(setting, path, error);
  }
}

/**
 * What failed in a directory that a service keeps its state in, in words for whoever set it; anything that has nothing to
 * do with files stays what it is.
 */
export function stateFailure(setting: string, path: string, error: unknown): unknown {
  if (error instanceof GridError) return error;
  const why = fileWords(path, error) ?? databaseWords(error);
  if (why === undefined) return error;
  return unusable(setting, path, why, error);
}

function unusable(setting: string, path: string, why: string, cause?: unknown): GridError {
  const code: ErrorCode = why === FULL ? 'DISK_FULL' : 'CONFIG_INVALID';
  const problems = [{ where: path, message: `${setting}: ${why}` }];
  return new GridError(code, `the directory of '${setting}' cannot be used`, { problems, cause });
}

const FULL = 'its file system is full: make room, or name another directory';

const NO_DIRECTORY = (at: string): string =>
  `${at} is, or lies below, something that is no directory: move that away, or name another directory`;
const FORBIDDEN = (at: string): string =>
  `the account ${accountName()} may not use ${at}: give it the directory (chown), let it through those above (chmod o+x), or name another`;

const WORDS: Readonly<Record<string, (at: string) => string>> = {
  ENOSPC: () => FULL,
  EDQUOT: () => FULL,
  EACCES: FORBIDDEN,
  EPERM: FORBIDDEN,
  EROFS: () => 'its file system is read-only: mount it for writing, or name another directory',
  ENOTDIR: NO_DIRECTORY,
  EEXIST: NO_DIRECTORY,
  ENOENT: () => 'no directory can be made there: name one on a disk',
};

function fileWords(state: string, error: unknown): string | undefined {
  const errno = errnoOf(error);
  const file = error instanceof Error && 'path' in error ? String(error.path) : '';
  // A write names no file. What has nothing to do with room, a connection for instance, names none either.
  if (file === '') return errno === 'ENOSPC' || errno === 'EDQUOT' ? FULL : undefined;
  if (!isWithin(state, file) && !isWithin(file, state)) return undefined;
  const at = file === state ? 'it' : `'${file}'`;
  return (
    WORDS[errno]?.(at) ??
    `it fails with ${errno} at ${at}: see what is wrong with its file system, or name another directory`
  );
}

const isWithin = (folder: string, file: string): boolean =>
  file === folder || file.startsWith(join(folder, '/'));

/** Primary result codes of SQLite; see sqlite.org/rescode.html. */
function databaseWords(error: unknown): string | undefined {
  if (!(error instanceof Error) || !('errcode' in error)) return undefined;
  switch (Number(error.errcode) & 0xff) {
    case 13:
      return FULL;
    case 11:
    case 26:
      return `the database in it is spoiled (${error.message}): put back one that was saved, or move it away and begin anew`;
    case 8:
    case 10:
    case 14:
      return `the database in it cannot be used (${error.message}): see what is wrong with its file system, or name another directory`;
    default:
      return undefined;
  }
}

/**
 * Whether files can be made there, or not, within the time. Another process tries: a file system whose server has gone
 * holds whoever asks, and nothing but a kill frees that.
 */
function answers(path: string, patienceMs: number): Promise<boolean> {
  const script = 'mkdir -p -m 700 -- "$1" && : >"$1/.answer-$$" && rm -- "$1/.answer-$$"';
  const child = spawn('/bin/sh', ['-c', script, 'sh', path], { stdio: 'ignore', detached: true });
  return new Promise((resolve) => {
    const giveUp = (): void => {
      // With what the shell has started.
      if (child.pid !== undefined) process.kill(-child.pid, 'SIGKILL');
      child.unref();
      resolve(false);
    };
    // A process that was itself held up for so long looks once more whether the answer has come.
    let timer = setTimeout(() => {
      timer = setTimeout(giveUp, patienceMs / 10);
    }, patienceMs);
    const done = (): void => {
      clearTimeout(timer);
      resolve(true);
    };
    child.once('error', done);
    child.once('exit', done);
  });
}
