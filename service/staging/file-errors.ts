import { GridError } from '../../core/errors.ts';

/** The errno of a failed file operation, for instance `ENOENT`; '' for anything else. */
export const errnoOf = (error: unknown): string =>
  error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : '';

const READING: Readonly<Record<string, string>> = {
  ENOENT: 'is not there (any more)',
  EACCES: 'may not be read',
  EPERM: 'may not be read',
  ELOOP: 'is a symbolic link',
  ENOTDIR: 'lies below something that is no directory',
  EISDIR: 'is a directory now',
  ENAMETOOLONG: 'has too long a path',
};

const WRITING: Readonly<Record<string, string>> = {
  ENOENT: 'cannot be made where it is to be',
  EACCES: 'may not be written',
  EPERM: 'may not be written',
  EROFS: 'is on a file system that is read-only',
  ENOTDIR: 'lies below something that is no directory',
  EISDIR: 'is in the way: it is a directory',
  EEXIST: 'is in the way: it is no directory',
  ENOTEMPTY: 'is in the way: it is a directory',
  ENAMETOOLONG: 'has too long a name for this file system',
};

/** Why a file cannot be read, for people, to follow `it`. */
export const readTrouble = (error: unknown): string =>
  READING[errnoOf(error)] ?? `fails with ${errnoOf(error) || String(error)}`;

/** A failed read of `path` as FILE_UNREADABLE; a GridError and anything that is no errno stay what they are. */
export function readFailure(path: string, error: unknown): unknown {
  const errno = errnoOf(error);
  if (error instanceof GridError || !/^E[A-Z]/.test(errno)) return error;
  return new GridError('FILE_UNREADABLE', `'${path}' ${READING[errno] ?? `fails with ${errno}`}`, {
    cause: error,
  });
}

/** A failed write of `path` as DISK_FULL or FILE_UNWRITABLE; a GridError and what is no errno stay what they are. */
export function writeFailure(path: string, error: unknown): unknown {
  const errno = errnoOf(error);
  if (error instanceof GridError || !/^E[A-Z]/.test(errno)) return error;
  if (errno === 'ENOSPC' || errno === 'EDQUOT') {
    return new GridError('DISK_FULL', `no room for '${path}' (${errno})`, { cause: error });
  }
  return new GridError('FILE_UNWRITABLE', `'${path}' ${WRITING[errno] ?? `fails with ${errno}`}`, {
    cause: error,
  });
}

/** A failed write of what is the machine's own, as the machine says it: no name that anybody chose is why it failed. */
export function machineFailure(error: unknown): unknown {
  const isWrite = error instanceof GridError && error.code === 'FILE_UNWRITABLE';
  const code = isWrite ? errnoOf(error.cause) : '';
  if (!isWrite || code === '') return error;
  return Object.assign(new Error(error.message, { cause: error }), { code });
}
