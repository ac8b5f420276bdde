/**
 * Usage that fades: what was used counts half after each half-life. Both what has been used (`amount`) and what is
 * being used (`rate`) are in it, so that reading it costs the same for one task and for a million.
 *
 * The clock may jump. While it is behind `atMs` nothing fades and nothing accrues, and the next change counts from the
 * earlier time; so a jump of an hour and back costs at most what fades and accrues in an hour.
 */
export interface Usage {
  /** Weighed cpu-seconds as of `atMs`. */
  readonly amount: number;
  /** Weighed cpus in use since. */
  readonly rate: number;
  /** Wall clock. */
  readonly atMs: number;
}

export const NO_USAGE: Usage = { amount: 0, rate: 0, atMs: 0 };

/** How much of something is left after `ms`: 1 at once, a half after a half-life. */
const left = (ms: number, halfLifeMs: number): number => 2 ** (-Math.max(0, ms) / halfLifeMs);

/** How much of it is gone by then; `1 - left` would lose most digits where that is little. */
const faded = (ms: number, halfLifeMs: number): number =>
  -Math.expm1((-Math.LN2 * Math.max(0, ms)) / halfLifeMs);

/** What `rate` weighed cpus come to over `ms`, in weighed cpu-seconds: the first of them have faded most. */
export const accrued = (rate: number, ms: number, halfLifeMs: number): number =>
  ((rate * halfLifeMs) / (1_000 * Math.LN2)) * faded(ms, halfLifeMs);

/** The amount as of `nowMs`. */
export const usageAt = ({ amount, rate, atMs }: Usage, nowMs: number, halfLifeMs: number): number =>
  amount * left(nowMs - atMs, halfLifeMs) + accrued(rate, nowMs - atMs, halfLifeMs);

/** Adds to amount and rate as of `nowMs`; neither falls below nothing, whatever rounding has left over. */
export function addUsage(
  usage: Usage,
  more: { readonly amount?: number; readonly rate?: number },
  nowMs: number,
  halfLifeMs: number,
): Usage {
  return {
    amount: Math.max(0, usageAt(usage, nowMs, halfLifeMs) + (more.amount ?? 0)),
    rate: Math.max(0, usage.rate + (more.rate ?? 0)),
    atMs: nowMs,
  };
}
