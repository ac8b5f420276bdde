import { cliReference } from '../../cli/reference.ts';
import { ERRORS } from '../../core/error-codes.ts';
import { REASONS, REMEDIES } from '../../core/job/reasons.ts';
import { isFinal, JOB_STATES, jobMoves } from '../../core/job/state.ts';
import { REFUSAL_CODES } from '../../core/match/refusal.ts';
import { PATH_REFUSALS } from '../../core/pki/refusals.ts';
import { ATTRIBUTE_REFUSALS } from '../../core/vo/attributes.ts';

const row = (...cells: readonly string[]): string =>
  `| ${cells.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |`;

const section = (
  title: string,
  about: string,
  heads: readonly string[],
  rows: readonly string[],
): string =>
  [`## ${title}`, '', about, '', row(...heads), row(...heads.map(() => '---')), ...rows, ''].join(
    '\n',
  );

/** docs/errors.md. */
function errorsPage(): string {
  const errors = Object.entries(ERRORS).map(([code, { exit, status, remedy }]) =>
    row(`\`${code}\``, String(exit), `\`${status}\``, remedy),
  );
  const paths = Object.entries(PATH_REFUSALS).map(([code, { sentence, remedy }]) =>
    row(`\`${code}\``, sentence, remedy),
  );
  const attributes = Object.entries(ATTRIBUTE_REFUSALS).map(([code, text]) =>
    row(`\`${code}\``, text),
  );
  const reasons = Object.entries(REASONS).map(([code, text]) =>
    row(`\`${code}\``, text, REMEDIES[code] ?? ''),
  );
  return [
    '# Errors',
    '',
    'Made by `npm run docs` from the tables in the code. A code is stable: scripts may branch on it. The CLI shows `grid: CODE:',
    'message`, then every problem on a line of its own, then what to do; with `--json` the same as one object on stderr.',
    '',
    section(
      'Codes of refused calls',
      'What a command or an RPC ends with.',
      ['code', 'exit code', 'gRPC status', 'what to do'],
      errors,
    ),
    section(
      'Certificates',
      'Why a certificate chain is refused; the message of `UNAUTHENTICATED` begins with one of these.',
      ['code', 'what was found', 'what to do'],
      paths,
    ),
    section(
      'VO attributes',
      'Why attributes in a proxy give no rights; `grid whoami` shows them.',
      ['code', 'what was found'],
      attributes,
    ),
    section(
      'Reasons of attempts and jobs',
      'In `grid status`, `grid job events` and `--json`.',
      ['reason', 'what it means', 'what to do where a task is held'],
      reasons,
    ),
    section(
      'Refusals of sites',
      'In `grid why`, each with both values.',
      ['code'],
      REFUSAL_CODES.map((code) => row(`\`${code}\``)),
    ),
  ].join('\n');
}

/** docs/job-states.md. */
function jobStatesPage(): string {
  const moves = jobMoves();
  const arrows = JOB_STATES.flatMap((state) =>
    Object.entries(moves[state]).map(
      ([move, after]) => `    ${idOf(state)} --> ${idOf(after)}: ${move}`,
    ),
  );
  const ends = JOB_STATES.filter(isFinal).map((state) => `    ${idOf(state)} --> [*]`);
  const names = JOB_STATES.filter((state) => state !== idOf(state)).map(
    (state) => `    state "${state}" as ${idOf(state)}`,
  );
  return [
    '# States of a task',
    '',
    'Drawn by `npm run docs` from the table in `core/job/state.ts`. What is finer than a state is a reason on the event',
    '([errors](errors.md)). A job’s own state follows from its tasks.',
    '',
    '```mermaid',
    'stateDiagram-v2',
    ...names,
    '    [*] --> queued',
    ...arrows,
    ...ends,
    '```',
    '',
  ].join('\n');
}

const idOf = (state: string): string => state.replaceAll('-', '_');

/** Pages of docs/ that are made from code, by file name. */
export const MADE_PAGES: ReadonlyMap<string, () => string> = new Map([
  ['cli.md', cliReference],
  ['errors.md', errorsPage],
  ['job-states.md', jobStatesPage],
]);
