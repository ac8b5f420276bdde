import type { Random } from './random.ts';

/** How a time varies; all in ms. */
export type Distribution =
  | { readonly kind: 'fixed'; readonly ms: number }
  | { readonly kind: 'exp'; readonly meanMs: number }
  | { readonly kind: 'uniform'; readonly leastMs: number; readonly mostMs: number }
  /** `sigma` is the standard deviation of the logarithm. */
  | { readonly kind: 'lognormal'; readonly medianMs: number; readonly sigma: number };

/** One value. */
export function draw(distribution: Distribution, random: Random): number {
  switch (distribution.kind) {
    case 'fixed':
      return distribution.ms;
    case 'exp':
      // 1 - u is never 0.
      return -Math.log(1 - random.next()) * distribution.meanMs;
    case 'uniform':
      return distribution.leastMs + random.next() * (distribution.mostMs - distribution.leastMs);
    case 'lognormal':
    default:
      return distribution.medianMs * Math.exp(distribution.sigma * normal(random));
  }
}

/** Box and Muller's cosine. */
const normal = (random: Random): number =>
  Math.sqrt(-2 * Math.log(1 - random.next())) * Math.cos(2 * Math.PI * random.next());
