import { type ErrorCode, GridError } from '../../core/errors.ts';
import { isFinalNatsError } from './nats-connect.ts';

const RETRIED: ReadonlySet<ErrorCode> = new Set([
  'UNAVAILABLE',
  'DEADLINE_EXCEEDED',
  'STAGING_UNAVAILABLE',
  // Until somebody makes room.
  'STORE_FULL',
]);

/** The ticket does not let it be done. */
export const isDenied = (error: unknown): boolean =>
  error instanceof Error && /permissions violation/i.test(error.message);

/** Whether trying again cannot help. */
export const isFinal = (error: unknown): boolean =>
  error instanceof GridError ? !RETRIED.has(error.code) : isFinalNatsError(error);

/** What kept an answer away; '' where the failure is one: that there is no such chunk, for instance. */
export const troubleOf = (error: unknown): string =>
  error instanceof GridError && !RETRIED.has(error.code) ? '' : failureOf(error).message;

/** nats-server answers, and nobody there has the chunks of the VO. */
export const isLeaderless = (error: unknown): boolean =>
  error instanceof Error && error.message.startsWith('no responders');

const LEADERLESS =
  'nats-server runs and serves no chunks of the VO: its servers choose a leader, too few of them run, or it does not reach them';

/** What work that failed so is told of. */
export function failureOf(error: unknown): GridError {
  if (error instanceof GridError) return error;
  if (isLeaderless(error))
    return new GridError('STAGING_UNAVAILABLE', LEADERLESS, { cause: error });
  const reason = error instanceof Error ? error.message : String(error);
  return isDenied(error)
    ? new GridError('PERMISSION_DENIED', `the store refuses: ${reason}`, { cause: error })
    : new GridError('STAGING_UNAVAILABLE', `the store cannot be used: ${reason}`, {
        cause: error,
      });
}
