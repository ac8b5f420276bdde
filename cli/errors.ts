import { ERRORS } from '../core/error-codes.ts';
import { GridError, type Problem } from '../core/errors.ts';
import { writeFailure } from '../service/staging/file-errors.ts';

/** What a failed command leaves behind. */
export interface Failure {
  readonly exit: number;
  /** For stderr, without a last newline. */
  readonly text: string;
}

/** How a failure is to be shown. */
export interface FailureStyle {
  /** What was typed of the command, for instance `grid data put`. */
  readonly command?: string;
  /** Exit code of INTERRUPTED, where another signal than that of Ctrl-C has come. */
  readonly codeOfSignal?: number;
  readonly json: boolean;
  readonly debug: boolean;
  readonly red: (text: string) => string;
  readonly dim: (text: string) => string;
}

/** Problems that a person reads; `--json` has all of them. */
const MOST_PROBLEMS = 40;

/** Error -> exit code and text: code and message, every problem on a line of its own, what to do. */
export function describeFailure(error: unknown, style: FailureStyle): Failure {
  const known = asGridError(error);
  const { exit: usual, remedy: advice } = ERRORS[known.code];
  const exit = known.code === 'INTERRUPTED' ? (style.codeOfSignal ?? usual) : usual;
  const remedy = advice.replace('grid COMMAND', style.command ?? 'grid COMMAND');
  const shown = style.debug || known.code === 'INTERNAL' ? stackOf(known) : undefined;
  if (style.json) {
    const { code, message, problems } = known;
    return { exit, text: JSON.stringify({ error: { code, message, problems, remedy, exit } }) };
  }
  const more = known.problems.length - MOST_PROBLEMS;
  const lines = [
    `${style.red(`grid: ${known.code}:`)} ${known.message}`,
    ...known.problems.slice(0, MOST_PROBLEMS).map((problem) => `  ${problemText(problem)}`),
    ...(more > 0 ? [`  and ${more} more`] : []),
    // Who has pressed Ctrl-C needs no advice.
    ...(known.code === 'INTERRUPTED' ? [] : [`  -> ${remedy}`]),
    ...(shown === undefined ? [] : [style.dim(shown)]),
  ];
  return { exit, text: lines.join('\n') };
}

/** A message that begins with the key of its flag says it once: `--cpus must be ...`. */
function problemText({ where, message }: Problem): string {
  if (where === '') return message;
  const key = `${where.replace(/^--/, '')} `;
  const said = where.startsWith('--') && message.startsWith(key);
  return `${where} ${said ? message.slice(key.length) : message}`;
}

/**
 * Whatever was thrown, as one of our errors: an aborted wait becomes INTERRUPTED, a directory that cannot be made
 * FILE_UNWRITABLE or DISK_FULL, the unexpected INTERNAL.
 */
function asGridError(error: unknown): GridError {
  if (error instanceof GridError) return error;
  if (error instanceof Error && error.name === 'AbortError')
    return new GridError('INTERRUPTED', 'interrupted', { cause: error });
  const unmade = unmadeDirectory(error);
  if (unmade instanceof GridError) return unmade;
  const message = error instanceof Error ? error.message : String(error);
  return new GridError('INTERNAL', message, { cause: error });
}

/** A directory that a command wanted to make and could not, as a GridError. */
function unmadeDirectory(error: unknown): unknown {
  if (!(error instanceof Error)) return undefined;
  const { syscall, path }: NodeJS.ErrnoException = error;
  return syscall === 'mkdir' && path !== undefined ? writeFailure(path, error) : undefined;
}

function stackOf(error: GridError): string {
  const cause =
    error.cause instanceof Error ? (error.cause.stack ?? error.cause.message) : undefined;
  return cause ?? error.stack ?? '';
}
