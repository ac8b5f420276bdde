import { GridError } from '../../core/errors.ts';
import type { ExpressionKind, Reads, Rules, Verdict } from '../../core/match/ask.ts';
import {
  compilePolicy,
  compileRank,
  compileRequirement,
  readsOf,
  termsOf,
  WORST_RANK,
} from './expression.ts';

/** Compiled expressions that are kept; beyond that the oldest go. */
const KEPT = 10_000;

/** The expressions of jobs and sites, each compiled once. One that cannot be compiled holds for nobody. */
export function openRules(): Rules {
  const requirement = keepCompiled((text) => compiled(() => compileRequirement(text)));
  const rank = keepCompiled((text) => compiled(() => compileRank(text)));
  const policy = keepCompiled((text) => compiled(() => compilePolicy(text)));
  const reads: Readonly<Record<ExpressionKind, (text: string) => Reads>> = {
    requirements: keepCompiled((text) => readsOf('requirements', text)),
    rank: keepCompiled((text) => readsOf('rank', text)),
    policy: keepCompiled((text) => readsOf('policy', text)),
  };
  return {
    meets: (ask, offer, queue) => {
      const { run, reason } = requirement(ask.requirements);
      return run === undefined ? refused('requirements', reason) : run(ask, offer, queue);
    },
    welcomes: (offer, ask) => {
      const { run, reason } = policy(offer.policy);
      const caller = { dn: ask.owner, fqans: ask.fqans };
      return run === undefined ? refused("the site's policy", reason) : run(ask, caller);
    },
    rank: (ask, offer, queue) => rank(ask.rank).run?.(ask, offer, queue) ?? WORST_RANK,
    reads: (kind, text) => reads[kind](text),
    terms: termsOf,
  };
}

const refused = (what: string, reason: string): Verdict => ({
  holds: false,
  reason: `${what} cannot be used: ${reason}`,
});

interface Compiled<F> {
  /** Absent where it cannot be compiled. */
  readonly run?: F;
  readonly reason: string;
}

function compiled<F>(compile: () => F): Compiled<F> {
  try {
    return { run: compile(), reason: '' };
  } catch (error) {
    if (!(error instanceof GridError)) throw error;
    return { reason: error.problems.map(({ where, message }) => `${where} ${message}`).join('; ') };
  }
}

function keepCompiled<F>(compile: (text: string) => F): (text: string) => F {
  const kept = new Map<string, F>();
  return (text) => {
    const known = kept.get(text);
    if (known !== undefined) return known;
    const made = compile(text);
    const oldest = kept.size >= KEPT ? kept.keys().next().value : undefined;
    if (oldest !== undefined) kept.delete(oldest);
    kept.set(text, made);
    return made;
  };
}
