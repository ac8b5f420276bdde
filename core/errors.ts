import { ERRORS } from './error-codes.ts';

/** Every code that a person or a script can meet. */
export type ErrorCode = keyof typeof ERRORS;

/** One thing that is wrong: `where` is a field path or `file:line:column`, `message` one lower-case sentence. */
export interface Problem {
  readonly where: string;
  readonly message: string;
}

/** Whether `text` is a code of the catalogue. */
export function isErrorCode(text: string): text is ErrorCode {
  return Object.hasOwn(ERRORS, text);
}

/**
 * A refusal that a person may see. `message` quotes the values that matter, lower-case, without a full stop;
 * `problems` lists everything that is wrong where there is more than one thing; `cause` goes to logs only.
 */
export class GridError extends Error {
  override readonly name = 'GridError';
  readonly code: ErrorCode;
  readonly problems: readonly Problem[];

  constructor(
    code: ErrorCode,
    message: string,
    options: { readonly problems?: readonly Problem[]; readonly cause?: unknown } = {},
  ) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.code = code;
    this.problems = options.problems ?? [];
  }
}
