import { Metadata, type ServiceError, status } from '@grpc/grpc-js';
import { ERRORS } from '../../core/error-codes.ts';
import { type ErrorCode, GridError, isErrorCode, type Problem } from '../../core/errors.ts';
import { ErrorDetail } from '../../proto/gen/grid/v1/common.ts';
import { connectionWords } from '../connection-words.ts';
import type { Log } from '../log.ts';

/** Trailer that carries an encoded `grid.v1.ErrorDetail`. */
const DETAIL_KEY = 'grid-error-bin';

/** What a failed call ends with. */
interface StatusObject {
  readonly code: status;
  readonly details: string;
  readonly metadata: Metadata;
}

/** Trailers of more than 64 KiB end the whole connection, with all calls on it: longer words are cut. */
const MOST = { messageLength: 2_000, problemLength: 500, problemsLength: 8_000 };

const cut = (text: string, most: number): string =>
  text.length > most ? `${text.slice(0, most)}...` : text;

/** The first problems, as many as fit, and how many more there are. */
function firstOf(problems: readonly Problem[]): Problem[] {
  const first: Problem[] = [];
  let left = MOST.problemsLength;
  for (const { where, message } of problems) {
    const problem = {
      where: cut(where, MOST.problemLength),
      message: cut(message, MOST.problemLength),
    };
    left -= problem.where.length + problem.message.length;
    if (left < 0) break;
    first.push(problem);
  }
  const more = problems.length - first.length;
  return more === 0 ? first : [...first, { where: '...', message: `and ${more} more` }];
}

/** The only way from an error to gRPC: a GridError keeps its code and words, anything else becomes INTERNAL. */
export function toStatus(error: unknown, log: Log): StatusObject {
  const metadata = new Metadata();
  if (!(error instanceof GridError)) {
    log.error({ err: error }, 'unexpected error in a call');
    return { code: status.INTERNAL, details: 'INTERNAL: internal error', metadata };
  }
  if (error.cause !== undefined) log.warn({ err: error }, 'call refused');
  const message = cut(error.message, MOST.messageLength);
  const problems = firstOf(error.problems);
  const detail = ErrorDetail.encode({ code: error.code, message, problems }).finish();
  metadata.set(DETAIL_KEY, Buffer.from(detail));
  return {
    code: status[ERRORS[error.code].status],
    details: `${error.code}: ${message}`,
    metadata,
  };
}

const FALLBACK: Partial<Record<status, ErrorCode>> = {
  [status.UNAUTHENTICATED]: 'UNAUTHENTICATED',
  [status.PERMISSION_DENIED]: 'PERMISSION_DENIED',
  [status.UNAVAILABLE]: 'UNAVAILABLE',
  [status.DEADLINE_EXCEEDED]: 'DEADLINE_EXCEEDED',
  [status.CANCELLED]: 'INTERRUPTED',
  [status.INVALID_ARGUMENT]: 'REQUEST_INVALID',
  [status.RESOURCE_EXHAUSTED]: 'REQUEST_INVALID',
};

const isServiceError = (error: unknown): error is ServiceError =>
  error instanceof Error &&
  'code' in error &&
  'metadata' in error &&
  error.metadata instanceof Metadata;

/** The way back, at the client: `peer` names the service in the message (`broker localhost:7450`). */
export function fromStatus(error: unknown, peer: string): GridError {
  if (error instanceof GridError) return error;
  if (!isServiceError(error))
    return new GridError('INTERNAL', `call to ${peer} failed`, { cause: error });
  const [raw] = error.metadata.get(DETAIL_KEY);
  if (raw instanceof Uint8Array) {
    const detail = ErrorDetail.decode(raw);
    if (isErrorCode(detail.code)) {
      return new GridError(detail.code, detail.message, {
        problems: detail.problems,
        cause: error,
      });
    }
  }
  const code = FALLBACK[error.code] ?? 'INTERNAL';
  return new GridError(code, `${peer}: ${connectionWords(error.details)}`, { cause: error });
}
