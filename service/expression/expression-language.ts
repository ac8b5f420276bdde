import { Environment } from '@marcbachmann/cel-js';
import type { ExpressionKind } from '../../core/match/ask.ts';

/**
 * The language of requirements, ranks and policies: CEL, cut down to what ends quickly. Whoever may submit may write an
 * expression, and the broker evaluates it for every site. So there are no regular expressions and no comprehension inside
 * another, and text, nesting, nodes and steps are bounded.
 */

/** The longest expression, in characters. */
export const MAX_EXPRESSION_LENGTH = 4_096;
/** A list of an offer or a caller has at most this many items; further ones are not seen. */
export const MAX_LIST_ITEMS = 256;

/** Attributes that change while the site offers the same. */
export const MOMENTARY: readonly string[] = [
  'free_cpus',
  'free_memory',
  'free_gpus',
  'free_disk',
  'expected_wait',
];

export const SITE = {
  id: 'string',
  arch: 'string',
  os: 'string',
  lrms: 'string',
  features: 'list<string>',
  queues: 'list<string>',
  gpu_models: 'list<string>',
  licences: 'list<string>',
  cpus: 'int',
  memory: 'int',
  gpus: 'int',
  disk: 'int',
  free_cpus: 'int',
  free_memory: 'int',
  free_gpus: 'int',
  free_disk: 'int',
  max_nodes: 'int',
  max_walltime: 'int',
  price: 'double',
  expected_wait: 'int',
} as const;
export const QUEUE = {
  name: 'string',
  features: 'list<string>',
  gpu_models: 'list<string>',
  cpus: 'int',
  free_cpus: 'int',
  cpus_per_node: 'int',
  memory_per_node: 'int',
  gpus_per_node: 'int',
  max_nodes: 'int',
  max_walltime: 'int',
} as const;
export const JOB = {
  vo: 'string',
  cpus: 'int',
  memory: 'int',
  gpus: 'int',
  gpu_model: 'string',
  nodes: 'int',
  walltime: 'int',
  disk: 'int',
} as const;
export const CALLER = { dn: 'string', vo: 'string', fqans: 'list<string>' } as const;

/** Attributes by variable, for messages and docs/jobs.md. */
export const ATTRIBUTES: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  site: SITE,
  queue: QUEUE,
  job: JOB,
  caller: CALLER,
};
export const CONSTANTS = { KiB: 2n ** 10n, MiB: 2n ** 20n, GiB: 2n ** 30n, TiB: 2n ** 40n };
export const COMPREHENSIONS: readonly string[] = ['all', 'exists', 'exists_one', 'filter'];
export const FUNCTIONS: readonly string[] = [
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
export const VARIABLES: Readonly<Record<ExpressionKind, readonly string[]>> = {
  requirements: ['site', 'queue', 'job', 'caller'],
  rank: ['site', 'queue', 'job', 'caller'],
  policy: ['job', 'caller'],
};
/** Types that an expression may come to. */
export const RESULTS: Readonly<Record<ExpressionKind, readonly string[]>> = {
  requirements: ['bool'],
  rank: ['int', 'double'],
  policy: ['bool'],
};

const environments = new Map<ExpressionKind, Environment>();

export function environmentOf(kind: ExpressionKind): Environment {
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
