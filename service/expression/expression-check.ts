import type { ExpressionKind } from '../../core/match/ask.ts';
import { suggestion } from '../../core/nearest.ts';
import {
  ATTRIBUTES,
  CONSTANTS,
  environmentOf,
  FUNCTIONS,
  MAX_EXPRESSION_LENGTH,
  RESULTS,
  VARIABLES,
} from './expression-language.ts';
import { refusedIn } from './expression-tree.ts';

/** What is wrong with an expression: where in its text (offset from 0, line and column from 1), and what. */
export interface ExpressionProblem {
  readonly offset: number;
  readonly line: number;
  readonly column: number;
  readonly message: string;
}

/** Everything that is wrong with an expression; nothing when it can be compiled. An empty one is refused. */
export function checkExpression(kind: ExpressionKind, text: string): readonly ExpressionProblem[] {
  const at = (offset: number, message: string): readonly ExpressionProblem[] => {
    const before = text.slice(0, offset).split('\n');
    return [{ offset, line: before.length, column: (before.at(-1)?.length ?? 0) + 1, message }];
  };
  if (text.trim() === '') return at(0, 'the expression is empty');
  if (text.length > MAX_EXPRESSION_LENGTH)
    return at(0, `the expression has ${text.length} characters, at most ${MAX_EXPRESSION_LENGTH}`);
  const environment = environmentOf(kind);
  const checked = environment.check(text);
  if (checked.error !== undefined) {
    const { code, summary, range } = checked.error;
    const offset = range?.start ?? 0;
    return at(offset, explain({ kind, code, summary, text, offset }));
  }
  const refused = refusedIn(environment.parse(text).ast);
  if (refused !== undefined) return at(refused.offset, refused.message);
  const type = checked.type ?? 'dyn';
  if (RESULTS[kind].includes(type)) return [];
  const wanted = kind === 'rank' ? 'a number' : 'true or false';
  return at(0, `the result must be ${wanted}, but is ${type}`);
}

interface Complaint {
  readonly kind: ExpressionKind;
  readonly code: string;
  readonly summary: string;
  readonly text: string;
  readonly offset: number;
}

function explain(complaint: Complaint): string {
  const { code, summary } = complaint;
  const known =
    code === 'unknown_variable'
      ? explainVariable(complaint)
      : code === 'no_such_key'
        ? explainAttribute(complaint)
        : code === 'no_matching_overload'
          ? explainFunction(complaint)
          : undefined;
  if (known !== undefined) return known;
  const hint = /int \S+ double|double \S+ int/.test(summary)
    ? ': write double(...) around the whole number'
    : '';
  return `${summary.charAt(0).toLowerCase()}${clip(summary.slice(1), 200)}${hint}`;
}

function explainVariable({ kind, summary }: Complaint): string {
  const name = clip(summary.split(': ').at(-1) ?? '');
  const known = [...VARIABLES[kind], ...Object.keys(CONSTANTS)];
  const near = suggestion(name, known) || `; known are ${listText(VARIABLES[kind])}`;
  return `'${name}' is not known here${near}`;
}

function explainAttribute({ summary, text, offset }: Complaint): string | undefined {
  const name = clip(summary.split(': ').at(-1) ?? '');
  const owner =
    /([A-Za-z_]\w*)\s*\.\s*$/.exec(text.slice(0, offset))?.[1] ??
    /^([A-Za-z_]\w*)\s*\[/.exec(text.slice(offset))?.[1] ??
    '';
  const attributes = ATTRIBUTES[owner];
  if (attributes === undefined) return undefined;
  return `${owner} has no attribute '${name}'${suggestion(name, Object.keys(attributes))}`;
}

function explainFunction({ summary }: Complaint): string | undefined {
  const called = clip(/'(?:[\w$<>.]*\.)?(\w+)\(/.exec(summary)?.[1] ?? '');
  if (FUNCTIONS.includes(called)) return undefined;
  return `there is no function '${called}'${suggestion(called, FUNCTIONS)}`;
}

/** `a, b and c`. */
const listText = (words: readonly string[]): string =>
  words.join(', ').replace(/, (?=[^,]*$)/, ' and ');

const clip = (text: string, most = 60): string =>
  text.length > most ? `${text.slice(0, most)}...` : text;
