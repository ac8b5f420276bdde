import { EvaluationError } from '@marcbachmann/cel-js';
import { GridError } from '../../core/errors.ts';
import type { Ask, ExpressionKind, Reads, Verdict } from '../../core/match/ask.ts';
import type { Offer, Queue } from '../../core/match/offer.ts';
import { checkExpression } from './expression-check.ts';
import {
  type CallerView,
  callerFacts,
  type JobView,
  jobFacts,
  queueFacts,
  siteFacts,
} from './expression-facts.ts';
import { environmentOf } from './expression-language.ts';
import { readsIn, termsIn } from './expression-tree.ts';

/** The rank of a site for which the rank comes to no finite number. */
export const WORST_RANK = -Infinity;

/** What requirements and ranks see of a job and its owner. */
type AskView = Pick<Ask, 'owner' | 'vo' | 'fqans' | 'resources'>;

/** Compiles a job's requirements; throws SPEC_INVALID. The empty text holds everywhere. */
export function compileRequirement(
  text: string,
): (ask: AskView, offer: Offer, queue?: Queue) => Verdict {
  const evaluate = compile('requirements', text, true);
  return (ask, offer, queue) => verdictOf(evaluate(() => allFacts(ask, offer, queue)));
}

/** Compiles a job's rank; throws SPEC_INVALID. Where it comes to no finite number it gives WORST_RANK; the empty text gives 0. */
export function compileRank(text: string): (ask: AskView, offer: Offer, queue?: Queue) => number {
  const evaluate = compile('rank', text, 0);
  return (ask, offer, queue) => {
    const { value } = evaluate(() => allFacts(ask, offer, queue));
    const rank = typeof value === 'bigint' ? Number(value) : value;
    return typeof rank === 'number' && Number.isFinite(rank) ? rank : WORST_RANK;
  };
}

/** Compiles a site's policy; throws SPEC_INVALID. The empty text welcomes all. */
export function compilePolicy(text: string): (job: JobView, caller: CallerView) => Verdict {
  const evaluate = compile('policy', text, true);
  return (job, caller) =>
    verdictOf(evaluate(() => ({ job: jobFacts(job), caller: callerFacts(caller, job.vo) })));
}

/** What an expression looks at; nothing where it is empty or cannot be used. */
export function readsOf(kind: ExpressionKind, text: string): Reads {
  if (text === '' || checkExpression(kind, text).length > 0)
    return { job: false, caller: false, queue: false, momentary: false };
  return readsIn(kind, environmentOf(kind).parse(text).ast);
}

/** The terms of requirements, each of which could stand alone; none where they cannot be used. */
export function termsOf(requirements: string): readonly string[] {
  if (requirements === '' || checkExpression('requirements', requirements).length > 0) return [];
  return termsIn(environmentOf('requirements').parse(requirements).ast);
}

type Values = Readonly<Record<string, unknown>>;

const allFacts = (ask: AskView, offer: Offer, queue: Queue | undefined): Values => ({
  site: siteFacts(offer),
  queue: queueFacts(offer, queue),
  job: jobFacts(ask),
  caller: callerFacts({ dn: ask.owner, fqans: ask.fqans }, ask.vo),
});

interface Evaluated {
  readonly value?: unknown;
  readonly reason: string;
}

function compile(
  kind: ExpressionKind,
  text: string,
  whenEmpty: unknown,
): (values: () => Values) => Evaluated {
  if (text === '') return () => ({ value: whenEmpty, reason: '' });
  const problems = checkExpression(kind, text);
  if (problems.length > 0) {
    throw new GridError('SPEC_INVALID', `${kind} '${text.slice(0, 80)}' cannot be used`, {
      problems: problems.map(({ line, column, message }) => ({
        where: `${kind}:${line}:${column}`,
        message,
      })),
    });
  }
  const parsed = environmentOf(kind).parse(text);
  return (values) => {
    try {
      return { value: parsed(values()), reason: '' };
    } catch (error) {
      const why = error instanceof EvaluationError ? error.summary : String(error);
      return { reason: `${kind} cannot be evaluated: ${why}` };
    }
  };
}

const verdictOf = ({ value, reason }: Evaluated): Verdict => ({ holds: value === true, reason });
