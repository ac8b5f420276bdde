import * as z from 'zod';
import { isSiteId, isVoName, voName } from '../../core/ids.ts';
import type { ExpressionKind } from '../../core/match/ask.ts';
import { isDnText } from '../../core/pki/name.ts';
import type { Distribution } from '../../core/simulate/distribution.ts';
import { MAX_COLOURS } from '../../core/simulate/plot.ts';
import type { Arrival } from '../../core/simulate/workload.ts';
import { parseDuration } from '../../core/units.ts';
import { byteSize, filePath } from '../config.ts';
import { checkExpression } from '../expression/expression-check.ts';

/** The longest time that a scenario may span. */
const MAX_SPAN_MS = 3_650 * 86_400_000;

/** A duration of at least `leastMs` and at most ten years. */
const span = (leastMs: number): z.ZodType<number, string> =>
  z.string().transform((text, context) => {
    const ms = parseDuration(text);
    if (ms === undefined)
      context.addIssue(`'${text}' is no duration: write for instance 30s, 5m or 1h30m`);
    else if (ms < leastMs) context.addIssue(`'${text}' is under ${leastMs} ms`);
    else if (ms > MAX_SPAN_MS) context.addIssue(`'${text}' is over ${MAX_SPAN_MS / 86_400_000}d`);
    return ms ?? 0;
  });

const PER_MS: Readonly<Record<string, number>> = {
  s: 1e-3,
  m: 1 / 6e4,
  h: 1 / 3.6e6,
  d: 1 / 8.64e7,
};

/** `40/h` -> arrivals in a millisecond. */
const rate = (): z.ZodType<number, string> =>
  z.string().transform((text, context) => {
    const [, amount, unit] = /^(\d+(?:\.\d+)?)\s*\/\s*([smhd])$/.exec(text.trim()) ?? [];
    const perMs = Number(amount) * (PER_MS[unit ?? ''] ?? Number.NaN);
    if (!(perMs > 0))
      context.addIssue(`'${text}' is no rate above 0: write for instance 40/h or 0.5/s`);
    return perMs;
  });

const whole = (least: number, most: number): z.ZodNumber => z.int().min(least).max(most);
const vo = () => z.string().refine(isVoName, 'must be the name of a VO').transform(voName);

/** A user's short name, or a whole DN. */
const user = (): z.ZodString =>
  z
    .string()
    .max(200)
    .refine(
      (text) => /^[\w.@ -]+$/.test(text) || isDnText(text),
      'must be a name of letters, digits, spaces and . _ @ -, or a DN',
    );

const group = (): z.ZodString =>
  z.string().regex(/^(?:\/[\w.-]+)+$/, 'must be a path such as /biomed/imaging');

const expression = (kind: ExpressionKind) =>
  z
    .string()
    .superRefine((text, context) => {
      if (text === '') return;
      for (const { line, column, message } of checkExpression(kind, text))
        context.addIssue(`at ${line}:${column}: ${message}`);
    })
    .default('');

/** Refuses an object that does not have exactly one of its keys. */
const exactlyOne = (value: object, context: z.RefinementCtx, keys: readonly string[]): void => {
  const given = Object.keys(value);
  if (given.length !== 1)
    context.addIssue(
      `give exactly one of ${keys.join(', ')}, not ${given.join(' and ') || 'none'}`,
    );
};

const ARRIVAL = z
  .strictObject({ poisson: rate(), every: span(1), at: span(0) })
  .partial()
  .superRefine((value, context) => exactlyOne(value, context, ['poisson', 'every', 'at']))
  .transform(({ poisson, every, at }): Arrival => {
    if (poisson !== undefined) return { kind: 'poisson', perMs: poisson };
    if (every !== undefined) return { kind: 'every', everyMs: every };
    return { kind: 'at', atMs: at ?? 0 };
  });

const RUNTIME = z
  .strictObject({
    fixed: span(1),
    exp: span(1),
    uniform: z
      .tuple([span(1), span(1)])
      .refine(([least, most]) => least <= most, 'the first must not be above the second'),
    lognormal: z.strictObject({ median: span(1), sigma: z.number().positive().max(5) }),
  })
  .partial()
  .superRefine((value, context) =>
    exactlyOne(value, context, ['fixed', 'exp', 'uniform', 'lognormal']),
  )
  .transform(({ fixed, exp, uniform, lognormal }): Distribution => {
    if (exp !== undefined) return { kind: 'exp', meanMs: exp };
    if (uniform !== undefined) return { kind: 'uniform', leastMs: uniform[0], mostMs: uniform[1] };
    if (lognormal !== undefined)
      return { kind: 'lognormal', medianMs: lognormal.median, sigma: lognormal.sigma };
    return { kind: 'fixed', ms: fixed ?? 1 };
  });

const OUTAGE = z.strictObject({
  at: span(0),
  for: span(1),
  kind: z.enum(['outage', 'drain']).default('outage'),
});

const SITE = z.strictObject({
  id: z
    .string()
    .refine(isSiteId, 'must be lower-case letters, digits and inner hyphens, at most 40'),
  count: whole(1, 10_000).optional(),
  cpus: whole(1, 10_000_000),
  memory: byteSize().optional(),
  gpus: whole(0, 1_000_000).default(0),
  speed: z.number().positive().max(1_000).default(1),
  backlog: whole(0, 1_000_000).default(0),
  failure: z.number().min(0).max(1).default(0),
  features: z.array(z.string().min(1)).default([]),
  'max-walltime': span(1_000).optional(),
  price: z.number().min(0).default(0),
  vos: z.array(vo()).default([]),
  policy: expression('policy'),
  outages: z.array(OUTAGE).default([]),
});

const STREAM = z.strictObject({
  user: user(),
  vo: vo(),
  group: group().optional(),
  arrival: ARRIVAL,
  start: span(0).prefault('0s'),
  count: whole(1, 1_000_000_000_000).optional(),
  array: whole(1, 1_000_000_000_000).default(1),
  runtime: RUNTIME,
  cpus: whole(1, 10_000_000).default(1),
  memory: byteSize().prefault('1G'),
  gpus: whole(0, 1_000_000).default(0),
  walltime: span(1_000).optional(),
  requirements: expression('requirements'),
  rank: expression('rank'),
});

const SHARE = z.strictObject({
  vo: vo(),
  group: group().optional(),
  user: user().optional(),
  weight: z.number().min(0.001).max(1_000_000).default(1),
  'max-cpus': whole(0, 10_000_000).optional(),
});

const POLICY = z.strictObject({
  name: z.string().regex(/^[\w.-]{1,40}$/, 'must be letters, digits and . _ -, at most 40'),
  'fair-share': z.boolean().default(true),
  'half-life': span(1_000).prefault('7d'),
  reservations: z.boolean().default(true),
  backlog: whole(0, 1_000_000).optional(),
  rank: expression('rank'),
  'round-interval': span(1).prefault('1s'),
});

/** A scenario as people write it. What spans several keys is checked in scenario-file.ts. */
export const SCENARIO = z.object({
  seed: whole(0, Number.MAX_SAFE_INTEGER).default(1),
  horizon: span(1_000).optional(),
  until: span(1_000).optional(),
  sites: z.array(SITE).min(1, 'there must be a site'),
  workload: z.array(STREAM).default([]),
  trace: filePath().optional(),
  shares: z.array(SHARE).default([]),
  policies: z
    .array(POLICY)
    .min(1)
    .max(MAX_COLOURS)
    .prefault([{ name: 'default' }]),
});

/** The parsed file. */
export type WrittenScenario = z.output<typeof SCENARIO>;
