import { GridError } from '../../core/errors.ts';

const SQLITE_FULL = 13;
const POSTGRES_DISK_FULL = '53100';

/** Why the ledger cannot be used, as a person may see it; `what` was tried. */
export function ledgerFailure(what: string, cause: unknown): GridError {
  if (cause instanceof GridError && cause.code === 'STATE_TOO_NEW')
    return new GridError(cause.code, `${what}: ${cause.message}`, { cause });
  if (cause instanceof GridError) return cause;
  if (isDiskFull(cause)) return new GridError('DISK_FULL', `${what}: its disk is full`, { cause });
  const why = cause instanceof Error ? cause.message : String(cause);
  return new GridError('LEDGER_UNAVAILABLE', `${what}: ${why}`, { cause });
}

function isDiskFull(error: unknown): boolean {
  if (!(error instanceof Error)) return false;
  const { code, errcode } = error as { code?: unknown; errcode?: unknown };
  return code === POSTGRES_DISK_FULL || errcode === SQLITE_FULL || isDiskFull(error.cause);
}
