import type { Rules, Verdict } from '../core/match/ask.ts';
import { compilePolicy, compileRank, compileRequirement } from './expression.ts';

/** Compiled expressions that are kept; beyond that the oldest go. */
const KEPT = 10_000;

/** The expressions of jobs and sites, each compiled once. A policy that cannot be compiled welcomes nobody. */
export function openRules(): Rules {
  const requirement = keepCompiled(compileRequirement);
  const rank = keepCompiled(compileRank);
  const policy = keepCompiled(compilePolicy);
  const refused = (what: string, error: unknown): Verdict => ({
    holds: false,
    reason: `${what} cannot be used: ${error instanceof Error ? error.message : String(error)}`,
  });
  return {
    meets: (ask, offer) => {
      try {
        return requirement(ask.requirements)(ask, offer);
      } catch (error) {
        return refused('requirements', error);
      }
    },
    welcomes: (offer, ask) => {
      try {
        return policy(offer.policy)(ask, { dn: ask.owner, fqans: ask.fqans });
      } catch (error) {
        return refused("the site's policy", error);
      }
    },
    rank: (ask, offer) => {
      try {
        return rank(ask.rank)(ask, offer);
      } catch {
        return 0;
      }
    },
  };
}

function keepCompiled<F>(compile: (text: string) => F): (text: string) => F {
  const kept = new Map<string, F>();
  return (text) => {
    const known = kept.get(text);
    if (known !== undefined) return known;
    const compiled = compile(text);
    const oldest = kept.size >= KEPT ? kept.keys().next().value : undefined;
    if (oldest !== undefined) kept.delete(oldest);
    kept.set(text, compiled);
    return compiled;
  };
}
