import { type ASTNode, Environment, EvaluationError } from '@marcbachmann/cel-js';
import { GridError } from '../core/errors.ts';
import type { JobSpec } from '../core/job/spec.ts';
import type { Offer } from '../core/match/offer.ts';
import { suggestion } from '../core/nearest.ts';

/**
 * CEL at the edge: requirements and ranks of jobs, policies of sites. Whoever may submit may write one, and the broker
 * evaluates it for every site: so the language is cut down to what ends quickly. No regular expressions, no strings or
 * lists that grow, no comprehension inside another; text, nesting and nodes are bounded.
 */

/** `requirements` and `rank` see `site` and `job`; `policy` sees `job` and `caller`. */
export type ExpressionKind = 'requirements' | 'rank' | 'policy';

/** What is wrong with an expression: where in its text (offset from 0, line and column from 1), and what. */
export interface ExpressionProblem {
  readonly offset: number;
  readonly line: number;
  readonly column: number;
  readonly message: string;
}

/** What a condition came to; `reason` says why it could not be evaluated, and is empty otherwise. */
export interface Verdict {
  readonly holds: boolean;
  readonly reason: string;
}

/** What expressions see of a job: just what its ask class has. */
export type JobView = Pick<JobSpec, 'vo' | 'resources'>;

/** What a policy sees of a caller; FQANs as text. */
export interface CallerView {
  readonly dn: string;
  readonly fqans: readonly string[];
}

/** The longest expression, in characters. */
export const MAX_EXPRESSION_LENGTH = 4_096;
/** The rank of a site for which the rank cannot be evaluated. */
export const WORST_RANK = -Infinity;

const SITE = {
  id: 'string',
  arch: 'string',
  os: 'string',
  lrms: 'string',
  features: 'list<string>',
  cpus: 'int',
  memory: 'int',
  gpus: 'int',
  free_cpus: 'int',
  free_memory: 'int',
  free_gpus: 'int',
  max_nodes: 'int',
  max_walltime: 'int',
} as const;
const JOB = {
  vo: 'string',
  cpus: 'int',
  memory: 'int',
  gpus: 'int',
  nodes: 'int',
  walltime: 'int',
} as const;
const CALLER = { dn: 'string', vo: 'string', fqans: 'list<string>' } as const;

type Facts<S> = {
  readonly [K in keyof S]: S[K] extends 'int'
    ? bigint
    : S[K] extends 'string'
      ? string
      : readonly string[];
};
type Values = Readonly<Record<string, unknown>>;

/** Attributes by variable, for messages and docs/jobs.md. */
export const ATTRIBUTES: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  site: SITE,
  job: JOB,
  caller: CALLER,
};
const CONSTANTS = { KiB: 2n ** 10n, MiB: 2n ** 20n, GiB: 2n ** 30n, TiB: 2n ** 40n };
const COMPREHENSIONS = ['all', 'exists', 'exists_one', 'filter'];
const FUNCTIONS: readonly string[] = [
  ...COMPREHENSIONS,
  'size',
  'int',
  'double',
  'string',
  'startsWith',
  'endsWith',
  'contains',
  'lowerAscii',
  'upperAscii',
];
const VARIABLES: Readonly<Record<ExpressionKind, readonly string[]>> = {
  requirements: ['site', 'job'],
  rank: ['site', 'job'],
  policy: ['job', 'caller'],
};
const RESULTS: Readonly<Record<ExpressionKind, readonly string[]>> = {
  requirements: ['bool'],
  rank: ['int', 'double'],
  policy: ['bool'],
};

const environments = new Map<ExpressionKind, Environment>();

function environmentOf(kind: ExpressionKind): Environment {
  const known = environments.get(kind);
  if (known !== undefined) return known;
  const environment = new Environment({
    limits: {
      maxAstNodes: 300,
      maxDepth: 40,
      maxListElements: 100,
      maxMapEntries: 10,
      maxCallArguments: 8,
    },
  });
  for (const [name, value] of Object.entries(CONSTANTS))
    environment.registerConstant(name, 'int', value);
  for (const name of VARIABLES[kind])
    environment.registerVariable({ name, schema: { ...ATTRIBUTES[name] } });
  environments.set(kind, environment);
  return environment;
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
  const forbidden = refuse(environment.parse(text).ast, false);
  if (forbidden !== undefined) return at(forbidden.offset, forbidden.message);
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
  return `${summary.charAt(0).toLowerCase()}${summary.slice(1)}${hint}`;
}

function explainVariable({ kind, summary }: Complaint): string {
  const name = summary.split(': ').at(-1) ?? '';
  const known = [...VARIABLES[kind], ...Object.keys(CONSTANTS)];
  const near = suggestion(name, known) || `; known are ${VARIABLES[kind].join(' and ')}`;
  return `'${name}' is not known here${near}`;
}

function explainAttribute({ summary, text, offset }: Complaint): string | undefined {
  const name = summary.split(': ').at(-1) ?? '';
  const owner = /([A-Za-z_]\w*)\s*(?:\.\s*|\[.*)$/.exec(text.slice(0, offset))?.[1] ?? '';
  const attributes = ATTRIBUTES[owner];
  if (attributes === undefined) return undefined;
  return `${owner} has no attribute '${name}'${suggestion(name, Object.keys(attributes))}`;
}

function explainFunction({ summary }: Complaint): string | undefined {
  const called = /'(?:[\w$<>.]*\.)?(\w+)\(/.exec(summary)?.[1] ?? '';
  if (FUNCTIONS.includes(called)) return undefined;
  return `there is no function '${called}'${suggestion(called, FUNCTIONS)}`;
}

interface Refusal {
  readonly offset: number;
  readonly message: string;
}

/** The first thing in the tree that the grid does not offer, although CEL does. */
function refuse(node: ASTNode, inComprehension: boolean): Refusal | undefined {
  let inside = inComprehension;
  if (node.op === 'call' || node.op === 'rcall') {
    const called = node.args[0];
    if (!FUNCTIONS.includes(called))
      return { offset: node.start, message: `'${called}' is not offered here` };
    if (node.op === 'rcall' && COMPREHENSIONS.includes(called)) {
      if (inComprehension)
        return { offset: node.start, message: `'${called}' inside another comprehension` };
      inside = true;
    }
  }
  for (const child of childrenOf(node.args)) {
    const refusal = refuse(child, inside);
    if (refusal !== undefined) return refusal;
  }
  return undefined;
}

function childrenOf(args: unknown): readonly ASTNode[] {
  if (Array.isArray(args)) return args.flatMap(childrenOf);
  return isNode(args) ? [args] : [];
}

const isNode = (value: unknown): value is ASTNode =>
  typeof value === 'object' && value !== null && 'op' in value && 'args' in value;

/** Compiles a job's requirements; throws SPEC_INVALID. The empty text holds everywhere. */
export function compileRequirement(text: string): (job: JobView, offer: Offer) => Verdict {
  const evaluate = compile('requirements', text, true);
  return (job, offer) => verdictOf(evaluate({ site: siteFacts(offer), job: jobFacts(job) }));
}

/** Compiles a job's rank; throws SPEC_INVALID. Where it cannot be evaluated it gives WORST_RANK; the empty text gives 0. */
export function compileRank(text: string): (job: JobView, offer: Offer) => number {
  const evaluate = compile('rank', text, 0);
  return (job, offer) => {
    const { value } = evaluate({ site: siteFacts(offer), job: jobFacts(job) });
    const rank = typeof value === 'bigint' ? Number(value) : value;
    return typeof rank === 'number' && Number.isFinite(rank) ? rank : WORST_RANK;
  };
}

/** Compiles a site's policy; throws SPEC_INVALID. The empty text welcomes all. The VO is the job's. */
export function compilePolicy(text: string): (job: JobView, caller: CallerView) => Verdict {
  const evaluate = compile('policy', text, true);
  return (job, caller) =>
    verdictOf(evaluate({ job: jobFacts(job), caller: callerFacts(caller, job.vo) }));
}

interface Evaluated {
  readonly value?: unknown;
  readonly reason: string;
}

function compile(
  kind: ExpressionKind,
  text: string,
  whenEmpty: unknown,
): (values: Values) => Evaluated {
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
      return { value: parsed(values), reason: '' };
    } catch (error) {
      const why = error instanceof EvaluationError ? error.summary : String(error);
      return { reason: `${kind} cannot be evaluated: ${why}` };
    }
  };
}

const verdictOf = ({ value, reason }: Evaluated): Verdict => ({ holds: value === true, reason });

// One offer is looked at by many jobs and one job by many sites: the conversion is kept with the object.
const siteFactsOf = new WeakMap<Offer, Facts<typeof SITE>>();
const jobFactsOf = new WeakMap<JobView, Facts<typeof JOB>>();

function kept<K extends object, V>(cache: WeakMap<K, V>, key: K, make: () => V): V {
  const known = cache.get(key);
  if (known !== undefined) return known;
  const made = make();
  cache.set(key, made);
  return made;
}

const seconds = (ms: number): bigint => BigInt(Math.ceil(ms / 1_000));

const siteFacts = (offer: Offer): Facts<typeof SITE> =>
  kept(siteFactsOf, offer, () => ({
    id: offer.site,
    arch: offer.arch,
    os: offer.os,
    lrms: offer.lrms,
    features: offer.features,
    cpus: BigInt(offer.totalCpus),
    memory: BigInt(offer.totalMemoryBytes),
    gpus: BigInt(offer.totalGpus),
    free_cpus: BigInt(offer.freeCpus),
    free_memory: BigInt(offer.freeMemoryBytes),
    free_gpus: BigInt(offer.freeGpus),
    max_nodes: BigInt(offer.maxNodes),
    max_walltime: seconds(offer.maxWalltimeMs),
  }));

const jobFacts = (job: JobView): Facts<typeof JOB> =>
  kept(jobFactsOf, job, () => ({
    vo: job.vo,
    cpus: BigInt(job.resources.cpus),
    memory: BigInt(job.resources.memoryBytes),
    gpus: BigInt(job.resources.gpus),
    nodes: BigInt(job.resources.nodes),
    walltime: seconds(job.resources.walltimeMs),
  }));

const callerFacts = (caller: CallerView, vo: string): Facts<typeof CALLER> => ({
  dn: caller.dn,
  vo,
  fqans: caller.fqans,
});
